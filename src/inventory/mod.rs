//! Who the hosts are: plain data from INI and YAML inventories, `group_vars`/`host_vars`, or a provider's machines.
//!
//! It follows ansible-core (inventory/manager.py, inventory/data.py, inventory/group.py, plugins/inventory/ini.py and
//! yaml.py, plugins/vars/host_group_vars.py); what it prints was compared with `ansible-inventory` byte by byte.

mod build;
mod extra;
mod hosts;
mod ini;
mod literal;
mod load;
mod order;
mod output;
mod pattern;
#[cfg(test)]
mod properties;
mod shell_words;
#[cfg(test)]
mod tests;
mod types;
mod vars_files;
mod yaml_file;

pub use build::InventoryError;
pub use extra::{extra_vars, extra_vars_with, vars_file};
pub use literal::literal;
pub use load::is_cluster_dir;
pub use output::{locked, python_json};
pub use types::*;
