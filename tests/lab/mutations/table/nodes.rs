//! Nodes that hang, machines that are off.

use super::{
    Batch, CP, HOST,
    How::{Real, Substituted},
    W2, fault, named,
};

pub const FROZEN: Batch = Batch {
    name: "a frozen worker and a missing scheduler",
    long: true,
    only: None,
    also: &[
        "network-*",
        "kubernetes-node-taints",
        "kubernetes-restarts",
        "machine-drift",
        "machine-disk",
        "runtime-kubelet-health",
        "kubernetes-served-certificates",
        "kubernetes-daemonsets",
        "kubernetes-system-pods",
        "kubernetes-coredns",
    ],
    shown: "! kubectl -n kube-system get pod kube-scheduler-control-plane-1 >/dev/null 2>&1",
    healed: "[ \"$(kubectl get nodes --no-headers | grep -cw NotReady)\" = 0 ] && kubectl -n kube-system get pod kube-scheduler-control-plane-1 --no-headers | grep -q 1/1 && ! kubectl get node worker-2 -o yaml | grep -q v1.0.0 && [ \"$(kubectl -n kube-flannel get ds kube-flannel-ds -o 'jsonpath={.status.numberReady}')\" = \"$(kubectl -n kube-flannel get ds kube-flannel-ds -o 'jsonpath={.status.desiredNumberScheduled}')\" ]",
    faults: &[
        fault("network-probes", W2, Real, "systemctl kill -s STOP kubelet", "systemctl kill -s CONT kubelet; systemctl restart kubelet"),
        named(
            "kubernetes-static-pods",
            CP,
            Real,
            "kube-scheduler",
            "mv /etc/kubernetes/manifests/kube-scheduler.yaml /root/",
            "mv /root/kube-scheduler.yaml /etc/kubernetes/manifests/",
        ),
        named(
            "kubernetes-leases",
            CP,
            Real,
            "kube-scheduler",
            "until ! kubectl -n kube-system get pod kube-scheduler-control-plane-1 >/dev/null 2>&1; do sleep 0.5; done; kubectl -n kube-system patch lease kube-scheduler --type=merge -p '{\"spec\":{\"renewTime\":\"2026-01-01T00:00:00.000000Z\"}}' >/dev/null",
            "true",
        ),
        named(
            "kubernetes-node-ready",
            CP,
            Real,
            "worker-2",
            "kubectl patch node worker-2 --subresource=status -p '{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"False\",\"reason\":\"KubeletNotReady\",\"message\":\"container runtime is down\"}]}}' >/dev/null",
            "kubectl -n kube-flannel delete pod -l app=flannel --field-selector spec.nodeName=worker-2 --wait=false >/dev/null",
        ),
        // What a network plugin or route controller does when it fails; kubelet does not own this condition.
        named(
            "kubernetes-node-conditions",
            CP,
            Real,
            "worker-2",
            "kubectl patch node worker-2 --subresource=status -p '{\"status\":{\"conditions\":[{\"type\":\"NetworkUnavailable\",\"status\":\"True\",\"reason\":\"NoRouteCreated\",\"message\":\"no route\"}]}}' >/dev/null",
            "kubectl patch node worker-2 --subresource=status -p '{\"status\":{\"conditions\":[{\"type\":\"NetworkUnavailable\",\"status\":\"False\",\"reason\":\"FlannelIsUp\",\"message\":\"Flannel is running on this node\"}]}}' >/dev/null",
        ),
        named(
            "kubernetes-node-version",
            CP,
            Substituted,
            "worker-2",
            "kubectl patch node worker-2 --subresource=status -p '{\"status\":{\"nodeInfo\":{\"kubeletVersion\":\"v1.0.0\"}}}' >/dev/null",
            "true",
        ),
        fault(
            "kubernetes-pod-cidrs",
            W2,
            Real,
            "cp /run/flannel/subnet.env /root/kw.subnet; sed -i 's#^FLANNEL_SUBNET=.*#FLANNEL_SUBNET=10.244.99.1/24#' /run/flannel/subnet.env",
            "cat /root/kw.subnet > /run/flannel/subnet.env; rm /root/kw.subnet",
        ),
        fault(
            "network-vxlan-address",
            W2,
            Real,
            "ip link del flannel.1; ip link add flannel.1 type vxlan id 1 local 192.0.2.1 dev eth0 dstport 4789 nolearning; ip link set flannel.1 up",
            "ip link del flannel.1; pkill -x flanneld || true",
        ),
        fault(
            "runtime-image-disk",
            W2,
            Real,
            "mount -t tmpfs -o size=32m tmpfs /var/lib/containerd; head -c 33000000 /dev/zero > /var/lib/containerd/fill || true",
            "umount /var/lib/containerd",
        ),
        fault("network-cni", W2, Real, "echo '{}' > /etc/cni/net.d/05-fault.conflist", "rm /etc/cni/net.d/05-fault.conflist"),
    ],
};

pub const OFF: Batch = Batch {
    name: "a machine and the mirror are off",
    long: true,
    only: None,
    also: &[
        "*@worker-3",
        "runtime-registry",
        "kubernetes-coredns",
        "kubernetes-daemonsets",
        "kubernetes-system-pods",
        // A replica of CoreDNS, or of the probe behind the Service, that ran there is not taken out at once.
        "network-dns-*",
        "network-egress",
        "network-service-vip",
        "network-nodeport",
    ],
    shown: "true",
    healed: "[ \"$(kubectl get nodes --no-headers | awk '$2 == \"Ready\"' | wc -l)\" = 4 ] && [ \"$(kubectl -n kube-system get deploy coredns -o 'jsonpath={.status.availableReplicas}')\" = 2 ] && ! kubectl get pods -A --no-headers | grep -vE ' ([0-9]+)/\\1 +Running'",
    faults: &[
        named("machine-reachable", HOST, Real, "worker-3", "docker stop -t 5 $W3 >/dev/null", "docker start $W3 >/dev/null"),
        named("cloud-machines", HOST, Real, "worker-3", "true", "true"),
        named("cloud-status", HOST, Real, "worker-3", "true", "true"),
        named("cloud-drift", HOST, Real, "mirror", "docker stop -t 1 $MIRROR >/dev/null", "docker start $MIRROR >/dev/null"),
    ],
};
