// Mirror serves the lab's packages and images from one read-only directory: files under /apt/ on port 80, and on port 5000
// as much of the OCI distribution API as pulling needs (github.com/opencontainers/distribution-spec, "Pull").
//
//	mirror DIRECTORY    with DIRECTORY/apt, DIRECTORY/blobs/sha256:… and DIRECTORY/manifests/NAME/TAG
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: mirror DIRECTORY")
	}
	root := os.Args[1]
	apt := http.StripPrefix("/apt/", http.FileServer(http.Dir(filepath.Join(root, "apt"))))
	go func() { log.Fatal(http.ListenAndServe(":80", apt)) }()
	log.Fatal(http.ListenAndServe(":5000", registry(root)))
}

func registry(root string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		path := strings.TrimPrefix(r.URL.Path, "/v2/")
		if path == "" {
			w.Write([]byte("{}"))
			return
		}
		if strings.Contains(path, "..") || r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.Error(w, "only pulls", http.StatusMethodNotAllowed)
			return
		}
		if _, digest, ok := strings.Cut(path, "/blobs/"); ok {
			w.Header().Set("Docker-Content-Digest", digest)
			w.Header().Set("Content-Type", "application/octet-stream")
			http.ServeFile(w, r, filepath.Join(root, "blobs", digest))
			return
		}
		name, reference, ok := strings.Cut(path, "/manifests/")
		if !ok {
			http.NotFound(w, r)
			return
		}
		file := filepath.Join(root, "manifests", name, reference)
		if strings.HasPrefix(reference, "sha256:") {
			file = filepath.Join(root, "blobs", reference)
		}
		manifest, err := os.ReadFile(file)
		if err != nil {
			http.Error(w, `{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`, http.StatusNotFound)
			return
		}
		sum := sha256.Sum256(manifest)
		w.Header().Set("Docker-Content-Digest", "sha256:"+hex.EncodeToString(sum[:]))
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		w.Header().Set("Content-Length", strconv.Itoa(len(manifest)))
		if r.Method == http.MethodGet {
			w.Write(manifest)
		}
	}
}
