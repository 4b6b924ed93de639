//! What the region offers: zones by type, architectures, the image. Read at the beginning, together with the world.

use super::{
    api::{Api, Effect},
    errors::{Fault, Meaning},
    read::pages,
};
use crate::{infra::InfraError, spec::AwsSettings};
use aws_sdk_ec2::types::{Filter, Image as Ec2Image, LocationType};
use std::collections::{BTreeMap, BTreeSet};

/// Canonical's account (<https://documentation.ubuntu.com/aws/aws-how-to/instances/find-ubuntu-images/>).
pub const CANONICAL: &str = "099720109477";
const IMAGE_NAME: &str = "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-*-server-*";

/// An image to boot from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// `ami-…`
    pub id: String,
    /// Its name.
    pub name: String,
    /// `x86_64`, `arm64`.
    pub architecture: String,
    /// The device of its root volume.
    pub root_device: String,
}

/// Facts of a region.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Zones by instance type, in alphabetical order.
    pub zones: BTreeMap<String, BTreeSet<String>>,
    /// Architecture by instance type.
    pub architectures: BTreeMap<String, String>,
    /// The newest image by architecture, or the pinned one.
    pub images: BTreeMap<String, Image>,
}

impl Facts {
    /// The image for a type.
    pub fn image(&self, instance_type: &str) -> Option<&Image> {
        self.images.get(self.architectures.get(instance_type)?)
    }
}

/// Account and identity that the credentials belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Account number.
    pub account: String,
    /// ARN of the user or role.
    pub arn: String,
}

/// Asks who we are.
pub async fn identity(api: &Api) -> Result<Identity, Fault> {
    let answer = api.call("GetCallerIdentity", Effect::Repeatable, || api.sts.get_caller_identity().send()).await?;
    Ok(Identity { account: answer.account.unwrap_or_default(), arn: answer.arn.unwrap_or_default() })
}

/// Reads the facts that these types need.
pub async fn read(api: &Api, settings: &AwsSettings, types: &BTreeSet<String>) -> Result<Facts, InfraError> {
    let wrap = |what: &'static str| move |fault: Fault| fault.into_infra(what);
    let (zones, architectures, images) = futures::try_join!(
        async { offerings(api, types).await.map_err(wrap("reading the zones of the instance types")) },
        async { architectures(api, types).await },
        async { images(api, settings.ami.as_deref()).await.map_err(wrap("looking for the image")) },
    )?;
    for kind in types {
        if zones.get(kind).is_none_or(BTreeSet::is_empty) {
            return Err(InfraError::Missing {
                what: format!("region {} offers no instance type {kind}", api.region),
                hint: "correct `type` of the pool, or `aws.region`".to_owned(),
            });
        }
    }
    Ok(Facts { zones, architectures, images })
}

async fn offerings(api: &Api, types: &BTreeSet<String>) -> Result<BTreeMap<String, BTreeSet<String>>, Fault> {
    let filter = Filter::builder().name("instance-type").set_values(Some(types.iter().cloned().collect())).build();
    let found = pages!(
        api,
        "DescribeInstanceTypeOfferings",
        api.ec2.describe_instance_type_offerings().location_type(LocationType::AvailabilityZone).filters(filter.clone()),
        instance_type_offerings
    );
    let mut zones: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for offering in found {
        if let (Some(kind), Some(zone)) = (offering.instance_type, offering.location) {
            zones.entry(kind.as_str().to_owned()).or_default().insert(zone);
        }
    }
    Ok(zones)
}

async fn architectures(api: &Api, types: &BTreeSet<String>) -> Result<BTreeMap<String, String>, InfraError> {
    let filter = Filter::builder().name("instance-type").set_values(Some(types.iter().cloned().collect())).build();
    let found =
        async { Ok(pages!(api, "DescribeInstanceTypes", api.ec2.describe_instance_types().filters(filter.clone()), instance_types)) };
    let found = found.await.map_err(|f: Fault| f.into_infra("reading the instance types"))?;
    Ok(found
        .into_iter()
        .filter_map(|t| {
            let architectures = t.processor_info?.supported_architectures?;
            let best = architectures.iter().find(|a| matches!(a.as_str(), "x86_64" | "arm64"))?;
            Some((t.instance_type?.as_str().to_owned(), best.as_str().to_owned()))
        })
        .collect())
}

async fn images(api: &Api, pinned: Option<&str>) -> Result<BTreeMap<String, Image>, Fault> {
    let found = if let Some(id) = pinned {
        let found =
            api.call("DescribeImages", Effect::Takes, || api.ec2.describe_images().image_ids(id).send()).await.map_err(|f| {
                match f.meaning {
                    Meaning::NotFound => Fault { message: format!("the region has no image {id}: correct aws.ami"), ..f },
                    _ => f,
                }
            })?;
        found.images.unwrap_or_default()
    } else {
        let filter = |name: &str, value: &str| Filter::builder().name(name).values(value).build();
        let (name, state) = (filter("name", IMAGE_NAME), filter("state", "available"));
        pages!(api, "DescribeImages", api.ec2.describe_images().owners(CANONICAL).filters(name.clone()).filters(state.clone()), images)
    };
    Ok(newest(&found))
}

/// The newest image of each architecture. Dates are ISO 8601, so they sort as text.
fn newest(images: &[Ec2Image]) -> BTreeMap<String, Image> {
    let mut sorted: Vec<&Ec2Image> = images.iter().collect();
    sorted.sort_by_key(|i| (i.creation_date().unwrap_or_default().to_owned(), i.image_id().unwrap_or_default().to_owned()));
    sorted
        .into_iter()
        .filter_map(|i| {
            let architecture = i.architecture()?.as_str().to_owned();
            let image = Image {
                id: i.image_id()?.to_owned(),
                name: i.name().unwrap_or_default().to_owned(),
                architecture: architecture.clone(),
                root_device: i.root_device_name().unwrap_or("/dev/sda1").to_owned(),
            };
            Some((architecture, image))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ec2::types::ArchitectureValues;

    #[test]
    fn the_newest_image_of_each_architecture_wins() {
        let image = |id: &str, date: &str, arch: ArchitectureValues| {
            Ec2Image::builder().image_id(id).creation_date(date).architecture(arch).build()
        };
        let found = newest(&[
            image("ami-new", "2026-10-01T00:00:00.000Z", ArchitectureValues::X8664),
            image("ami-old", "2026-02-01T00:00:00.000Z", ArchitectureValues::X8664),
            image("ami-arm", "2026-01-01T00:00:00.000Z", ArchitectureValues::Arm64),
        ]);
        assert_eq!(found["x86_64"].id, "ami-new");
        assert_eq!(found["arm64"].id, "ami-arm");
    }
}
