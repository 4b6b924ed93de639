//! kubewright takes bare machines to a *verified* Kubernetes cluster, over SSH and with nothing but `sh` on the hosts.
//!
//! The flow, one arrow, one type:
//!
//! ```text
//! argv ─▶ Options ─▶ ClusterSpec ─▶ infra plan ─▶ Inventory ─▶ Play/Task ─▶ Program (sh) ─▶ Event stream ─▶ Report
//!         cli        spec           infra          inventory    playbook     engine          report          verify
//! ```
//!
//! The modules below stand in reading order, which is also the import order: each may use only what stands above it
//! (`tests/layering.rs` keeps that true; docs/architecture.md explains it).

pub mod shell;
pub mod text;
pub mod yaml;

pub mod event;
pub mod vault;

pub mod spec;

pub mod inventory;

pub mod connection;
pub mod infra;

pub mod template;

pub mod kube;
pub mod session;

pub mod modules;

pub mod playbook;

pub mod cluster;
pub mod engine;

pub mod verify;

pub mod report;

pub mod ops;

pub mod cli;
