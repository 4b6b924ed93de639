"""moto's server, mended where it is so unlike EC2 that a client which is right fails."""

import sys
from threading import Lock

from moto.ec2.exceptions import InvalidKeyPairNameError
from moto.ec2.models.instances import Instance
from moto.ec2.responses.key_pairs import KeyPairs
from moto.ec2.responses.tags import TagResponse
from moto.elbv2.models import ELBv2Backend, FakeLoadBalancer
from moto.server import main

delete_by_name = KeyPairs.delete_key_pair
import_at_will = KeyPairs.import_key_pair
importing = Lock()
create_any_tags = TagResponse.create_tags
terminate_with_its_address = Instance.terminate
create_another_balancer = ELBv2Backend.create_load_balancer
zones_without_addresses = FakeLoadBalancer.availability_zones


def delete_key_pair(self):
    """moto ignores KeyPairId, and so deletes nothing (moto 5.2.5)."""
    wanted = self._get_param("KeyPairId")
    for pair in list(self.ec2_backend.key_pairs.values()):
        if pair.id == wanted:
            self.ec2_backend.delete_key_pair(pair.key_name)
    return delete_by_name(self)


def import_key_pair(self):
    """moto's threads both make a key pair of one name."""
    with importing:
        return import_at_will(self)


def create_tags(self):
    """moto gives tags to a key pair that does not exist."""
    known = {pair.id for pair in self.ec2_backend.key_pairs.values()}
    for wanted in self._get_param("Resources", []):
        if wanted.startswith("key-") and wanted not in known:
            raise InvalidKeyPairNameError(wanted)
    return create_any_tags(self)


def create_load_balancer(self, name, **rest):
    """moto makes another load balancer of the same name, and forgets the addresses that were asked for."""
    for known in self.load_balancers.values():
        if known.name == name:
            return known
    made = create_another_balancer(self, name, **rest)
    made.addresses = {m["SubnetId"]: m["PrivateIPv4Address"] for m in rest.get("subnet_mappings") or []}
    return made


def availability_zones(self):
    zones = zones_without_addresses.fget(self)
    for zone in zones:
        zone.load_balancer_addresses = [{"PrivateIPv4Address": self.addresses[zone.subnet_id]}]
    return zones


def terminate(self, *args, **named):
    """moto gives the address of a terminated instance to no other while something still refers to it."""
    state = terminate_with_its_address(self, *args, **named)
    for address in self._private_ips:
        self.ec2_backend.get_subnet(self.subnet_id).del_subnet_ip(address)
    return state


Instance.terminate = terminate
ELBv2Backend.create_load_balancer = create_load_balancer
FakeLoadBalancer.availability_zones = property(availability_zones)
KeyPairs.delete_key_pair = delete_key_pair
KeyPairs.import_key_pair = import_key_pair
TagResponse.create_tags = create_tags
main(sys.argv[1:])
