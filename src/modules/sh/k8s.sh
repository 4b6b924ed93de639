# k8s, k8s_info, helm, helm_repository: thin wrappers of the kubectl and helm of the host.

kw_kubectl() { kubectl ${kw_kubeconfig:+--kubeconfig "$kw_kubeconfig"} ${kw_context:+--context "$kw_context"} "$@"; }
kw_helm() { helm ${kw_kubeconfig:+--kubeconfig "$kw_kubeconfig"} ${kw_context:+--kube-context "$kw_context"} "$@"; }

kw_k8s_check() {
	kw_has kubectl || kw_fail "kubectl is not installed on this host"
	kw_rc=0
	if [ "$kw_state" = absent ]; then
		kw_list=$(kw_kubectl get ${kw_namespace:+-n "$kw_namespace"} --ignore-not-found -o name "$@" 2>&1) || kw_rc=$?
		case $kw_rc:$kw_list in
		0: | *'no matches for kind'*) return 0 ;;
		0:*) return 10 ;;
		esac
		kw_fail "kubectl get: $kw_list"
	fi
	kw_list=$(kw_kubectl diff ${kw_namespace:+-n "$kw_namespace"} ${kw_server:+--server-side} "$@" 2>&1) || kw_rc=$?
	case $kw_rc:$kw_list in
	0:*) return 0 ;;
	1:*) return 10 ;;
	# What the manifest needs (a namespace, a kind) may come with it.
	*'not found'* | *'no matches for kind'*) return 10 ;;
	esac
	kw_fail "kubectl diff: $(printf '%s' "$kw_list" | tail -n 3)"
}

kw_k8s_apply() {
	if [ "$kw_state" = absent ]; then
		kw_kubectl delete ${kw_namespace:+-n "$kw_namespace"} --ignore-not-found --wait="${kw_wait:-false}" "$@" >&2
		return 0
	fi
	kw_kubectl apply ${kw_namespace:+-n "$kw_namespace"} ${kw_server:+--server-side} "$@" >&2
	if [ -n "$kw_wait" ]; then
		kw_list=$(kw_kubectl get ${kw_namespace:+-n "$kw_namespace"} -o name "$@")
		for kw_xo in $kw_list; do
			case $kw_xo in
			deployment.* | daemonset.* | statefulset.*) kw_kubectl rollout status ${kw_namespace:+-n "$kw_namespace"} --timeout="${kw_timeout}s" "$kw_xo" >&2 ;;
			esac
		done
	fi
}

kw_k8s_info_check() {
	kw_has kubectl || kw_fail "kubectl is not installed on this host"
	kw_kubectl get "$@" --ignore-not-found -o json
}

kw_helm_check() {
	kw_has helm || kw_fail "helm is not installed on this host"
	kw_list=$(kw_helm list -n "$kw_namespace" -a --filter "^$kw_name\$" -o json) || kw_fail "helm cannot list the releases of namespace $kw_namespace"
	case $kw_state:$kw_list in
	absent:'[]' | absent:'') return 0 ;;
	absent:*) return 10 ;;
	*'"status":"deployed"'*) ;;
	*) return 10 ;;
	esac
	[ -z "$kw_force" ] || return 10
	case $kw_list in
	*"\"chart\":\"$kw_chart_name-$kw_version"*) ;;
	*) return 10 ;;
	esac
	kw_now=$(kw_helm get values "$kw_name" -n "$kw_namespace" -o json)
	kw_wanted=$(cat "$KW_BLOBS/$kw_values" 2>/dev/null) || kw_wanted=$kw_now
	[ "$kw_now" != null ] || kw_now='{}'
	[ "$kw_now" = "$kw_wanted" ] || return 10
}

kw_helm_apply() {
	if [ "$kw_state" = absent ]; then
		kw_helm uninstall "$kw_name" -n "$kw_namespace" ${kw_wait:+--wait} >&2
		return 0
	fi
	[ -z "$kw_update" ] || kw_helm repo update >&2
	kw_helm upgrade --install "$kw_name" "$kw_chart" -n "$kw_namespace" ${kw_create:+--create-namespace} ${kw_version:+--version "$kw_version"} ${kw_repo:+--repo "$kw_repo"} \
		${kw_wait:+--wait} ${kw_atomic:+--atomic} ${kw_timeout:+--timeout "$kw_timeout"} -f "$KW_BLOBS/$kw_values" "$@" >&2
}

kw_helm_repo_check() {
	kw_has helm || kw_fail "helm is not installed on this host"
	kw_list=$(helm repo list -o json 2>/dev/null) || kw_list=''
	kw_found=''
	case $kw_list in
	*"\"name\":\"$kw_name\",\"url\":\"$kw_url\""*) kw_found=same ;;
	*"\"name\":\"$kw_name\""*) kw_found=other ;;
	esac
	case $kw_state:$kw_found in
	present:same | absent:) ;;
	*) return 10 ;;
	esac
}
kw_helm_repo_apply() {
	if [ "$kw_state" = absent ]; then
		helm repo remove "$kw_name" >&2
	else
		helm repo add --force-update "$kw_name" "$kw_url" >&2
	fi
}
