//! `etcd restore`.
