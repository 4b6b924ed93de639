//! Who the hosts are: plain data from INI and YAML inventories, `group_vars`/`host_vars`, or a provider's machines.

mod types;

pub use types::*;
