//! What goes wrong with objects of the cluster.

use super::{Batch, CP, How::Real, named};

pub const OBJECTS: Batch = Batch {
    name: "objects of the cluster",
    long: false,
    only: None,
    // The ConfigMap of Flannel is one that we manage.
    also: &["machine-drift", "kubernetes-system-pods@kube-flannel-ds", "kubernetes-system-pods@coredns", "kubernetes-system-pods@kw-crash"],
    shown: "[ $(kubectl -n kube-system get pod kw-crash -o 'jsonpath={.status.containerStatuses[0].restartCount}') -ge 2 ] && [ -n \"$(kubectl -n kube-system get pod kw-crash -o 'jsonpath={.status.containerStatuses[0].lastState.terminated.exitCode}')\" ] && kubectl get pod kw-oom -o yaml | grep -q OOMKilled && kubectl get pod kw-evicted -o yaml | grep -q 'reason: Evicted' && kubectl get pod kw-web -o yaml | grep -qE 'ErrImagePull|ImagePullBackOff' && [ $(($(date +%s) - $(date -d \"$(kubectl get csr kw -o 'jsonpath={.metadata.creationTimestamp}')\" +%s))) -gt 32 ] && [ \"$(kubectl -n kube-system get deploy coredns -o 'jsonpath={.status.availableReplicas}')\" = 1 ]",
    healed: "[ \"$(kubectl -n kube-system get deploy coredns -o 'jsonpath={.status.availableReplicas}')\" = 2 ] && [ \"$(kubectl -n kube-system get pods -l k8s-app=kube-dns --no-headers | wc -l)\" = 2 ] && [ \"$(kubectl -n kube-system get pods -l k8s-app=kube-dns -o 'jsonpath={range .items[*]}{.spec.nodeName}{\"\\n\"}{end}' | sort -u | wc -l)\" = 2 ] && ! kubectl get pods -A -o wide --no-headers | grep -E 'worker-9|kw-'",
    faults: &[
        named(
            "kubernetes-csrs",
            CP,
            Real,
            "kw",
            "r=$(openssl req -new -newkey rsa:2048 -nodes -keyout /dev/null -subj /CN=kw 2>/dev/null | base64 -w0); printf '{\"apiVersion\":\"certificates.k8s.io/v1\",\"kind\":\"CertificateSigningRequest\",\"metadata\":{\"name\":\"kw\"},\"spec\":{\"request\":\"%s\",\"signerName\":\"kubernetes.io/kube-apiserver-client\",\"usages\":[\"client auth\"]}}' $r | kubectl apply -f - >/dev/null",
            "kubectl delete csr kw >/dev/null",
        ),
        named(
            "kubernetes-restarts",
            CP,
            Real,
            "kw-crash",
            "kubectl -n kube-system run kw-crash --image=registry.k8s.io/kubewright/probe:v2 --image-pull-policy=IfNotPresent -- bogus >/dev/null",
            "kubectl -n kube-system delete pod kw-crash --force --grace-period=0 >/dev/null 2>&1",
        ),
        // containerd sees the end of a container before it hears of its OOM about once in five times (measured: 12 of 60), and kubelet then
        // says Error, 137. So once more, until it was told.
        named(
            "runtime-oom",
            CP,
            Real,
            "kw-oom",
            "for n in 1 2 3 4 5 6 7 8; do printf '{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"kw-oom\"},\"spec\":{\"restartPolicy\":\"Never\",\"containers\":[{\"name\":\"x\",\"image\":\"registry.k8s.io/kubewright/probe:v2\",\"imagePullPolicy\":\"IfNotPresent\",\"args\":[\"check\",\"tcp\",\"10.96.0.1:443\",\"--size\",\"400000000\"],\"resources\":{\"limits\":{\"memory\":\"24Mi\"}}}]}}' | kubectl apply -f - >/dev/null; kubectl wait --for='jsonpath={.status.phase}'=Failed pod/kw-oom --timeout=30s >/dev/null; kubectl get pod kw-oom -o yaml | grep -q OOMKilled && exit 0; kubectl delete pod kw-oom --force --grace-period=0 >/dev/null 2>&1; done; exit 1",
            "kubectl delete pod kw-oom --force --grace-period=0 >/dev/null 2>&1",
        ),
        named(
            "kubernetes-workloads",
            CP,
            Real,
            "kw-web",
            "kubectl run kw-web --image=registry.invalid/nope:1 >/dev/null",
            "kubectl delete pod kw-web --force --grace-period=0 >/dev/null 2>&1",
        ),
        named("kubernetes-pod-security", CP, Real, "default", "true", "true"),
        named(
            "kubernetes-system-pods",
            CP,
            Real,
            "kw-sys",
            "kubectl -n kube-system run kw-sys --image=registry.invalid/nope:1 >/dev/null",
            "kubectl -n kube-system delete pod kw-sys --force --grace-period=0 >/dev/null 2>&1",
        ),
        // kubelet evicts a pod that outgrows its emptyDir. It must not end well on its own: then it would count as done.
        named(
            "kubernetes-evicted",
            CP,
            Real,
            "kw-evicted",
            "i=$(kubectl -n kube-flannel get ds kube-flannel-ds -o 'jsonpath={.spec.template.spec.containers[0].image}'); printf '{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"kw-evicted\"},\"spec\":{\"terminationGracePeriodSeconds\":0,\"volumes\":[{\"name\":\"d\",\"emptyDir\":{\"sizeLimit\":\"1Mi\"}}],\"initContainers\":[{\"name\":\"fill\",\"image\":\"%s\",\"command\":[\"cp\",\"-f\",\"/opt/bin/flanneld\",\"/d/fill\"],\"volumeMounts\":[{\"name\":\"d\",\"mountPath\":\"/d\"}]}],\"containers\":[{\"name\":\"x\",\"image\":\"%s\",\"command\":[\"/bin/busybox\",\"sleep\",\"600\"],\"volumeMounts\":[{\"name\":\"d\",\"mountPath\":\"/d\"}]}]}}' $i $i | kubectl apply -f - >/dev/null",
            "kubectl delete pod kw-evicted --force --grace-period=0 >/dev/null 2>&1",
        ),
        named(
            "kubernetes-coredns",
            CP,
            Real,
            "1 of 2",
            "kubectl -n kube-system set image deploy/coredns coredns=registry.invalid/nope:1 >/dev/null",
            "kubectl -n kube-system rollout undo deploy/coredns >/dev/null",
        ),
        named(
            "kubernetes-tokens",
            CP,
            Real,
            "abcdef",
            "kubeadm token create abcdef.0123456789abcdef --ttl 24h >/dev/null 2>&1",
            "kubeadm token delete abcdef >/dev/null 2>&1",
        ),
        named(
            "kubernetes-anonymous",
            CP,
            Real,
            "list pods",
            "kubectl create clusterrolebinding kw-fault --clusterrole=view --user=system:anonymous >/dev/null",
            "kubectl delete clusterrolebinding kw-fault >/dev/null",
        ),
        named(
            "kubernetes-node-unknown",
            CP,
            Real,
            "worker-9",
            "printf '{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"worker-9\"}}' | kubectl apply -f - >/dev/null",
            "kubectl delete node worker-9 >/dev/null; kubectl get pods -A -o wide --no-headers | awk '/worker-9/ {print $1, $2}' | while read -r n p; do kubectl -n $n delete pod $p --force --grace-period=0 >/dev/null 2>&1; done",
        ),
        named("kubernetes-daemonsets", CP, Real, "of 5 nodes", "true", "true"),
        named("kubernetes-node-taints", CP, Real, "worker-2", "kubectl cordon worker-2 >/dev/null", "kubectl uncordon worker-2 >/dev/null"),
        named(
            "network-vxlan-port",
            CP,
            Real,
            "kube-flannel-cfg",
            "kubectl -n kube-flannel get cm kube-flannel-cfg -o yaml | sed 's/4789/8472/g' | kubectl replace -f - >/dev/null",
            "kubectl -n kube-flannel get cm kube-flannel-cfg -o yaml | sed 's/8472/4789/g' | kubectl replace -f - >/dev/null",
        ),
        named(
            "kubernetes-admission",
            CP,
            Real,
            "gone",
            "printf '{\"apiVersion\":\"admissionregistration.k8s.io/v1\",\"kind\":\"ValidatingWebhookConfiguration\",\"metadata\":{\"name\":\"kw-fault\"},\"webhooks\":[{\"name\":\"kw.example.org\",\"failurePolicy\":\"Fail\",\"sideEffects\":\"None\",\"timeoutSeconds\":1,\"admissionReviewVersions\":[\"v1\"],\"clientConfig\":{\"service\":{\"name\":\"gone\",\"namespace\":\"default\"}},\"namespaceSelector\":{\"matchLabels\":{\"kubernetes.io/metadata.name\":\"default\"}},\"rules\":[{\"apiGroups\":[\"\"],\"apiVersions\":[\"v1\"],\"operations\":[\"CREATE\"],\"resources\":[\"pods\"]}]}]}' | kubectl apply -f - >/dev/null",
            "kubectl delete validatingwebhookconfiguration kw-fault >/dev/null",
        ),
        // A member that was added and never came. As a learner it has no vote.
        named(
            "kubernetes-etcd-members",
            CP,
            Real,
            "unstarted",
            "c=$(grep -om1 'cri-containerd-[0-9a-f]*' /proc/$(pgrep -ox etcd)/cgroup); etcdctl() { ctr -n k8s.io tasks exec --exec-id kw-$$-$# ${c##*-} etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/kubernetes/pki/etcd/ca.crt --cert=/etc/kubernetes/pki/etcd/server.crt --key=/etc/kubernetes/pki/etcd/server.key \"$@\" 2>/dev/null; }; etcdctl member add kw --learner --peer-urls=https://192.0.2.9:2380 >/dev/null",
            "c=$(grep -om1 'cri-containerd-[0-9a-f]*' /proc/$(pgrep -ox etcd)/cgroup); etcdctl() { ctr -n k8s.io tasks exec --exec-id kw-$$-$# ${c##*-} etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/kubernetes/pki/etcd/ca.crt --cert=/etc/kubernetes/pki/etcd/server.crt --key=/etc/kubernetes/pki/etcd/server.key \"$@\" 2>/dev/null; }; etcdctl member remove $(etcdctl member list | grep unstarted | cut -d, -f1) >/dev/null",
        ),
        // An upgrade that was begun and given up: the pods still are the old ones.
        named(
            "kubernetes-components",
            CP,
            Real,
            "kube-proxy",
            "kubectl -n kube-system patch ds kube-proxy -p '{\"spec\":{\"updateStrategy\":{\"type\":\"OnDelete\",\"rollingUpdate\":null}}}' >/dev/null; kubectl -n kube-system get ds kube-proxy -o 'jsonpath={.spec.template.spec.containers[0].image}' > /root/kw.image; kubectl -n kube-system set image ds/kube-proxy kube-proxy=registry.k8s.io/kube-proxy:v1.0.0 >/dev/null",
            "kubectl -n kube-system set image ds/kube-proxy kube-proxy=$(cat /root/kw.image) >/dev/null; kubectl -n kube-system patch ds kube-proxy -p '{\"spec\":{\"updateStrategy\":{\"type\":\"RollingUpdate\"}}}' >/dev/null; rm /root/kw.image",
        ),
    ],
};
