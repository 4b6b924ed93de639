// Probe is what `kubewright verify` runs inside the cluster to test the data path with real traffic.
//
//	probe serve --http :8080 --udp :8081 --tcp :8082 [--idle 90s --namespace NS]
//	probe check tcp|udp|http|dns|throughput TARGET [--size N|mtu] [--count N] [--timeout 3s] [--server IP:53]
//
// serve answers the checks of its peers (an HTTP page, a UDP echo, a TCP echo and sink) and runs checks itself, from
// inside its own pod: GET /check?kind=..&target=.. runs one, POST /checks runs a JSON list of them side by side.
// When nobody has asked for anything during --idle it deletes its own namespace: a killed run leaves nothing behind.
//
// Standard library only; built static (CGO_ENABLED=0) it is the whole image.
package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Check is one question: can TARGET be reached in this way from here?
type Check struct {
	ID     string `json:"id,omitempty"` // the caller's, handed back
	Kind   string `json:"kind"`
	Target string `json:"target"`
	// Bytes of payload; -1 is the largest UDP datagram that fits the interface's MTU, sent with "do not fragment".
	Size    int `json:"size,omitempty"`
	Count   int `json:"count,omitempty"`
	Timeout int `json:"timeout_ms,omitempty"`
	// What fails is tried again for this long: a new Service takes kube-proxy a moment.
	Retry int `json:"retry_ms,omitempty"`
	// Silence is tried again, too: a Service of local endpoints alone drops what comes before it knows them.
	Patient bool   `json:"patient,omitempty"`
	Expect  string `json:"expect,omitempty"` // how an HTTP answer begins; another server's answer is a wrong one
	Server  string `json:"server,omitempty"` // DNS server instead of resolv.conf's
}

// Result is what was seen. Times are milliseconds.
type Result struct {
	Check
	OK       bool     `json:"ok"`
	Error    string   `json:"error,omitempty"`
	Class    string   `json:"class,omitempty"` // timeout, refused, unreachable, too-long, not-found, wrong-answer, other
	Ms       float64  `json:"ms"`
	RttMin   float64  `json:"rtt_min_ms,omitempty"`
	RttAvg   float64  `json:"rtt_avg_ms,omitempty"`
	Sent     int      `json:"sent,omitempty"`
	Received int      `json:"received,omitempty"`
	Bytes    int64    `json:"bytes,omitempty"`
	Nonce    string   `json:"nonce,omitempty"`
	Answers  []string `json:"answers,omitempty"`
	Body     string   `json:"body,omitempty"`
	From     string   `json:"from"`
}

var (
	lastAsked atomic.Int64
	seen      sync.Map // nonces of datagrams that arrived here: tells a lost request from a lost answer
	hostname  = func() string { h, _ := os.Hostname(); return h }()
)

func main() {
	if len(os.Args) < 2 {
		fail("usage: probe serve|check …")
	}
	switch os.Args[1] {
	case "serve":
		serve(flags(os.Args[2:]))
	case "check":
		if len(os.Args) < 4 {
			fail("usage: probe check KIND TARGET [--size N] [--count N] [--timeout 3s] [--server IP:53]")
		}
		f := flags(os.Args[4:])
		c := Check{Kind: os.Args[2], Target: os.Args[3], Size: size(f["size"]), Server: f["server"]}
		c.Count, _ = strconv.Atoi(f["count"])
		if d, err := time.ParseDuration(f["timeout"]); err == nil {
			c.Timeout = int(d.Milliseconds())
		}
		r := run(c)
		_ = json.NewEncoder(os.Stdout).Encode(r)
		if !r.OK {
			os.Exit(1)
		}
	default:
		fail("unknown command " + os.Args[1])
	}
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, "probe: "+message)
	os.Exit(2)
}

func flags(args []string) map[string]string {
	out := map[string]string{}
	for i := 0; i < len(args); i++ {
		name, value, has := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		if !has && i+1 < len(args) {
			i++
			value = args[i]
		}
		out[name] = value
	}
	return out
}

func size(text string) int {
	if text == "mtu" {
		return -1
	}
	n, _ := strconv.Atoi(text)
	return n
}

func or(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

// ---- the side that answers

func serve(f map[string]string) {
	lastAsked.Store(time.Now().UnixNano())
	udp, err := net.ListenPacket("udp", or(f["udp"], ":8081"))
	if err != nil {
		fail(err.Error())
	}
	tcp, err := net.Listen("tcp", or(f["tcp"], ":8082"))
	if err != nil {
		fail(err.Error())
	}
	go echoUDP(udp)
	go acceptTCP(tcp)
	if idle, err := time.ParseDuration(f["idle"]); err == nil && idle > 0 {
		go vanish(idle, f["namespace"])
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, hostname) })
	mux.HandleFunc("/check", func(w http.ResponseWriter, r *http.Request) {
		lastAsked.Store(time.Now().UnixNano())
		q := r.URL.Query()
		c := Check{Kind: q.Get("kind"), Target: q.Get("target"), Size: size(q.Get("size")), Server: q.Get("server")}
		c.Count, _ = strconv.Atoi(q.Get("count"))
		if d, err := time.ParseDuration(q.Get("timeout")); err == nil {
			c.Timeout = int(d.Milliseconds())
		}
		reply(w, run(c))
	})
	mux.HandleFunc("/checks", func(w http.ResponseWriter, r *http.Request) {
		lastAsked.Store(time.Now().UnixNano())
		var checks []Check
		if err := json.NewDecoder(io.LimitReader(r.Body, 4<<20)).Decode(&checks); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		reply(w, runAll(checks))
	})
	mux.HandleFunc("/seen", func(w http.ResponseWriter, r *http.Request) {
		out := map[string]bool{}
		for _, nonce := range strings.Split(r.URL.Query().Get("nonces"), ",") {
			_, out[nonce] = seen.Load(nonce)
		}
		reply(w, out)
	})
	mux.HandleFunc("/counters", func(w http.ResponseWriter, _ *http.Request) { reply(w, counters()) })
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() { <-stop; os.Exit(0) }() // process 1 ignores a signal that it does not handle
	server := &http.Server{Addr: or(f["http"], ":8080"), Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	fail(server.ListenAndServe().Error())
}

func reply(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

// What arrived here with a wrong checksum, since this pod's network was made: `Tcp` and `Udp` InCsumErrors of
// /proc/net/snmp (a line of names, then one of values, for each protocol).
func counters() map[string]int64 {
	out := map[string]int64{}
	text, _ := os.ReadFile("/proc/net/snmp")
	names := map[string][]string{}
	for _, line := range strings.Split(string(text), "\n") {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		protocol := strings.ToLower(strings.TrimSuffix(words[0], ":"))
		known, seen := names[protocol]
		if names[protocol] = words; !seen {
			continue
		}
		for i := range min(len(known), len(words)) {
			if n, err := strconv.ParseInt(words[i], 10, 64); err == nil && known[i] == "InCsumErrors" {
				out[protocol+"_bad_checksum"] = n
			}
		}
	}
	return out
}

func echoUDP(conn net.PacketConn) {
	buffer := make([]byte, 65536)
	for {
		n, from, err := conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		if n >= 16 {
			seen.Store(string(buffer[:16]), true)
		}
		_, _ = conn.WriteTo(buffer[:n], from)
	}
}

// A connection begins with one line: "ECHO n" sends n bytes back, "SINK" counts until the end and answers the count.
func acceptTCP(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
			reader := bufio.NewReaderSize(conn, 64<<10)
			line, err := reader.ReadString('\n')
			if err != nil {
				return
			}
			if line == "SINK\n" {
				n, _ := io.Copy(io.Discard, reader)
				fmt.Fprintln(conn, n)
				return
			}
			var n int64
			if _, err := fmt.Sscanf(line, "ECHO %d\n", &n); err == nil && n <= 16<<20 {
				_, _ = io.CopyN(conn, reader, n)
			}
		}()
	}
}

// Deletes the namespace that this pod lives in, once nobody asked for anything for a while.
func vanish(idle time.Duration, namespace string) {
	for time.Since(time.Unix(0, lastAsked.Load())) < idle {
		time.Sleep(time.Second)
	}
	const dir = "/var/run/secrets/kubernetes.io/serviceaccount/"
	for ; ; time.Sleep(10 * time.Second) {
		token, err1 := os.ReadFile(dir + "token")
		ca, err2 := os.ReadFile(dir + "ca.crt")
		if err := errors.Join(err1, err2); err != nil {
			fail(err.Error())
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(ca)
		client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
		host := net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT"))
		request, err := http.NewRequest(http.MethodDelete, "https://"+host+"/api/v1/namespaces/"+namespace, nil)
		if err != nil {
			fail(err.Error())
		}
		request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
		if answer, err := client.Do(request); err == nil {
			answer.Body.Close()
		}
	}
}

// ---- the side that asks

// What is not done after this time is reported as such: one check that hangs does not hide the others.
const allWithin = 7 * time.Second

func runAll(checks []Check) []Result {
	results := make([]Result, len(checks))
	for i, c := range checks {
		results[i] = Result{Check: c, Error: "not done within " + allWithin.String(), Class: "timeout", From: hostname}
	}
	type done struct {
		index  int
		result Result
	}
	finished := make(chan done, len(checks))
	slots := make(chan struct{}, 64)
	for i, c := range checks {
		go func() {
			slots <- struct{}{}
			finished <- done{i, run(c)}
			<-slots
		}()
	}
	late := time.After(allWithin)
	for range checks {
		select {
		case d := <-finished:
			results[d.index] = d.result
		case <-late:
			return results
		}
	}
	return results
}

func run(c Check) Result {
	for begun := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		r := try(c)
		// Refused is what a Service without rules or endpoints yet looks like; silence is not, and has its own timeout.
		again := r.Class == "refused" || c.Patient && r.Class == "timeout"
		if r.OK || !again || time.Since(begun) > time.Duration(c.Retry)*time.Millisecond {
			return r
		}
	}
}

func try(c Check) Result {
	if c.Timeout <= 0 {
		c.Timeout = 3000
	}
	if c.Count <= 0 {
		c.Count = 1
	}
	r := Result{Check: c, From: hostname}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(c.Timeout)*time.Millisecond)
	defer cancel()
	begun := time.Now()
	kinds := map[string]func(context.Context, *Result) error{
		"tcp": checkTCP, "udp": checkUDP, "http": checkHTTP, "dns": checkDNS, "throughput": checkThroughput, "connect": checkConnect,
	}
	check, known := kinds[c.Kind]
	if !known {
		r.Error, r.Class = "unknown kind "+c.Kind, "other"
		return r
	}
	err := check(ctx, &r)
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		err = wrapped.Err // the target is named beside it
	}
	r.Ms = ms(time.Since(begun))
	if r.OK = err == nil; err != nil {
		r.Error, r.Class = err.Error(), class(err)
	}
	return r
}

var errWrong = errors.New("wrong answer")

func class(err error) string {
	var timeout net.Error
	var dns *net.DNSError
	switch {
	case errors.Is(err, errWrong):
		return "wrong-answer"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "unreachable"
	case errors.Is(err, syscall.EMSGSIZE):
		return "too-long"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "not-found"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	}
	return "other"
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func dial(ctx context.Context, network, target string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, target)
	if err == nil {
		deadline, _ := ctx.Deadline()
		_ = conn.SetDeadline(deadline)
	}
	return conn, err
}

// Only the handshake: for ports of others.
func checkConnect(ctx context.Context, r *Result) error {
	begun := time.Now()
	conn, err := dial(ctx, "tcp", r.Target)
	if err != nil {
		return err
	}
	r.RttMin = ms(time.Since(begun))
	return conn.Close()
}

func checkTCP(ctx context.Context, r *Result) error {
	begun := time.Now()
	conn, err := dial(ctx, "tcp", r.Target)
	if err != nil {
		return err
	}
	defer conn.Close()
	r.RttMin = ms(time.Since(begun)) // one round trip: the handshake
	sent := make([]byte, max(r.Size, 16))
	_, _ = rand.Read(sent)
	failed := make(chan error, 1)
	go func() {
		_, err := fmt.Fprintf(conn, "ECHO %d\n", len(sent))
		if err == nil {
			_, err = conn.Write(sent)
		}
		failed <- err
	}()
	back := make([]byte, len(sent))
	n, err := io.ReadFull(conn, back)
	r.Bytes = int64(n)
	if err != nil {
		return fmt.Errorf("%d of %d bytes came back: %w", n, len(sent), err)
	}
	if string(back) != string(sent) {
		return fmt.Errorf("%w: the echo differs", errWrong)
	}
	return <-failed
}

func checkUDP(ctx context.Context, r *Result) error {
	conn, err := dial(ctx, "udp", r.Target)
	if err != nil {
		return err
	}
	defer conn.Close()
	if r.Size < 0 {
		if r.Size, err = largest(conn); err != nil {
			return err
		}
	}
	payload := make([]byte, max(r.Size, 16))
	nonce := make([]byte, 8)
	_, _ = rand.Read(nonce)
	r.Nonce = hex.EncodeToString(nonce)
	copy(payload, r.Nonce)
	back := make([]byte, 65536)
	total := 0.0
	deadline, _ := ctx.Deadline()
	share := time.Until(deadline) / time.Duration(r.Count)
	for r.Sent < r.Count {
		begun := time.Now()
		_ = conn.SetDeadline(begun.Add(share))
		r.Sent++
		if _, err = conn.Write(payload); err != nil {
			return err
		}
		n, err1 := conn.Read(back)
		if err = err1; err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				return err
			}
			continue
		}
		if string(back[:n]) != string(payload) {
			return fmt.Errorf("%w: the echo differs", errWrong)
		}
		rtt := ms(time.Since(begun))
		if total += rtt; r.Received == 0 || rtt < r.RttMin {
			r.RttMin = rtt
		}
		r.Received++
	}
	if r.Received > 0 {
		r.RttAvg = total / float64(r.Received)
	}
	if r.Received < r.Sent {
		return fmt.Errorf("%d of %d datagrams of %d bytes came back: %w", r.Received, r.Sent, len(payload), os.ErrDeadlineExceeded)
	}
	return nil
}

// The largest payload of the interface that leads there, and "do not fragment" on the socket.
func largest(conn net.Conn) (int, error) {
	raw, err := conn.(*net.UDPConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var mtu int
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_MTU_DISCOVER, syscall.IP_PMTUDISC_DO)
		if failed == nil {
			mtu, failed = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_MTU)
		}
	})
	if err = errors.Join(err, failed); err != nil {
		return 0, err
	}
	return min(mtu, 65535) - 28, nil
}

func checkHTTP(ctx context.Context, r *Result) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.Target, nil)
	if err != nil {
		return err
	}
	// Each request its own connection, so that a Service may choose anew. Reachability is asked, not trust.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	for range r.Count {
		r.Sent++
		answer, err := client.Do(request)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(io.LimitReader(answer.Body, 4096))
		answer.Body.Close()
		if err != nil {
			return err
		}
		if !strings.HasPrefix(string(body), r.Expect) {
			return fmt.Errorf("%w: %.60q", errWrong, body)
		}
		r.Received++
		r.Body = strings.TrimSpace(string(body))
		r.Answers = append(r.Answers, strconv.Itoa(answer.StatusCode)+" "+r.Body)
	}
	return nil
}

func checkDNS(ctx context.Context, r *Result) error {
	resolver := net.Resolver{PreferGo: true}
	if r.Server != "" {
		resolver.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, r.Server)
		}
	}
	answers, err := resolver.LookupHost(ctx, r.Target)
	r.Answers = answers
	return err
}

// Sends for a fifth of the timeout at most (400 ms by default: 2 s), and asks how much arrived.
func checkThroughput(ctx context.Context, r *Result) error {
	conn, err := dial(ctx, "tcp", r.Target)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err = io.WriteString(conn, "SINK\n"); err != nil {
		return err
	}
	block := make([]byte, 64<<10)
	limit := int64(max(r.Size, 1<<20))
	begun := time.Now()
	span := time.Duration(r.Timeout) * time.Millisecond / 5
	for sent := int64(0); sent < limit && time.Since(begun) < span; sent += int64(len(block)) {
		if _, err = conn.Write(block); err != nil {
			return err
		}
	}
	if err = conn.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	if _, err = fmt.Fscanln(conn, &r.Bytes); err != nil {
		return err
	}
	r.RttAvg = 0
	r.Answers = []string{fmt.Sprintf("%.0f", float64(r.Bytes)*8/time.Since(begun).Seconds())} // bit/s
	return nil
}
