//! Everything that is taken away, one call each. That it is gone already is success; what frees others only when it is really
//! gone is waited for.

use super::{
    api::{Effect, gone_is_fine},
    errors::Fault,
    instance, load_balancer, nat_gateway,
    run::Ctx,
    target,
};
use std::net::Ipv4Addr;

/// What is taken away, by EC2's id where nothing else is said.
#[derive(Clone, Debug)]
pub enum Removal {
    /// A VPC.
    Vpc(String),
    /// A subnet.
    Subnet(String),
    /// An internet gateway from its VPC.
    Attachment {
        /// The gateway.
        gateway: String,
        /// The VPC.
        vpc: String,
    },
    /// An internet gateway.
    InternetGateway(String),
    /// An Elastic IP from whatever has it, by the association's id.
    Address(String),
    /// An Elastic IP, by its allocation's id.
    ElasticIp(String),
    /// A NAT gateway; waits until its address and subnet are free.
    NatGateway(String),
    /// A subnet from its route table, by the association's id.
    TableAssociation(String),
    /// A route table.
    RouteTable(String),
    /// Rules of one group.
    Rules {
        /// The group.
        group: String,
        /// `sgr-…`
        ids: Vec<String>,
        /// Outgoing ones.
        egress: bool,
    },
    /// A security group.
    SecurityGroup(String),
    /// A key pair, by its name.
    KeyPair(String),
    /// Instances; waits until no network interface can be left.
    Instances(Vec<String>),
    /// A volume.
    Volume(String),
    /// A load balancer with its listeners, by its ARN; waits until its network interfaces are gone.
    LoadBalancer(String),
    /// A target group, by its ARN.
    TargetGroup(String),
    /// A target from its group.
    Target {
        /// The group's ARN.
        group: String,
        /// The target.
        address: Ipv4Addr,
    },
}

impl Removal {
    pub(super) async fn run(&self, ctx: &Ctx<'_>) -> Result<(), Fault> {
        use Effect::Takes;
        let (api, ec2) = (ctx.api, &ctx.api.ec2);
        match self {
            Self::Vpc(id) => gone_is_fine(api.call("DeleteVpc", Takes, || ec2.delete_vpc().vpc_id(id).send()).await),
            Self::Subnet(id) => gone_is_fine(api.call("DeleteSubnet", Takes, || ec2.delete_subnet().subnet_id(id).send()).await),
            Self::Attachment { gateway, vpc } => {
                let call = || ec2.detach_internet_gateway().internet_gateway_id(gateway).vpc_id(vpc).send();
                match api.call("DetachInternetGateway", Takes, call).await {
                    Err(fault) if fault.code.as_deref() == Some("Gateway.NotAttached") => Ok(()),
                    other => gone_is_fine(other),
                }
            }
            Self::InternetGateway(id) => {
                let call = || ec2.delete_internet_gateway().internet_gateway_id(id).send();
                gone_is_fine(api.call("DeleteInternetGateway", Takes, call).await)
            }
            Self::Address(association) => {
                let call = || ec2.disassociate_address().association_id(association).send();
                gone_is_fine(api.call("DisassociateAddress", Takes, call).await)
            }
            Self::ElasticIp(id) => gone_is_fine(api.call("ReleaseAddress", Takes, || ec2.release_address().allocation_id(id).send()).await),
            Self::NatGateway(id) => {
                let call = || ec2.delete_nat_gateway().nat_gateway_id(id).send();
                gone_is_fine(api.call("DeleteNatGateway", Takes, call).await)?;
                nat_gateway::wait_deleted(ctx, id).await
            }
            Self::TableAssociation(association) => {
                let call = || ec2.disassociate_route_table().association_id(association).send();
                gone_is_fine(api.call("DisassociateRouteTable", Takes, call).await)
            }
            Self::RouteTable(id) => {
                gone_is_fine(api.call("DeleteRouteTable", Takes, || ec2.delete_route_table().route_table_id(id).send()).await)
            }
            Self::Rules { group, ids, egress: false } => {
                let call = || ec2.revoke_security_group_ingress().group_id(group).set_security_group_rule_ids(Some(ids.clone())).send();
                gone_is_fine(api.call("RevokeSecurityGroupIngress", Takes, call).await)
            }
            Self::Rules { group, ids, egress: true } => {
                let call = || ec2.revoke_security_group_egress().group_id(group).set_security_group_rule_ids(Some(ids.clone())).send();
                gone_is_fine(api.call("RevokeSecurityGroupEgress", Takes, call).await)
            }
            Self::SecurityGroup(id) => {
                gone_is_fine(api.call("DeleteSecurityGroup", Takes, || ec2.delete_security_group().group_id(id).send()).await)
            }
            Self::KeyPair(name) => gone_is_fine(api.call("DeleteKeyPair", Takes, || ec2.delete_key_pair().key_name(name).send()).await),
            Self::Instances(ids) => {
                let call = || ec2.terminate_instances().set_instance_ids(Some(ids.clone())).send();
                gone_is_fine(api.call("TerminateInstances", Takes, call).await)?;
                instance::wait_terminated(ctx, ids).await
            }
            Self::LoadBalancer(id) => {
                let call = || api.elb.delete_load_balancer().load_balancer_arn(id).send();
                gone_is_fine(api.call("DeleteLoadBalancer", Takes, call).await)?;
                load_balancer::wait_deleted(ctx, id).await
            }
            Self::TargetGroup(id) => {
                let call = || api.elb.delete_target_group().target_group_arn(id).send();
                gone_is_fine(api.call("DeleteTargetGroup", Takes, call).await)
            }
            Self::Target { group, address } => {
                let call = || api.elb.deregister_targets().target_group_arn(group).targets(target::description(*address)).send();
                gone_is_fine(api.call("DeregisterTargets", Takes, call).await)
            }
            Self::Volume(id) => gone_is_fine(api.call("DeleteVolume", Takes, || ec2.delete_volume().volume_id(id).send()).await),
        }
    }
}
