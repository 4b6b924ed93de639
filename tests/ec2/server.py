"""moto's server, mended where it is so unlike EC2 that a client which is right fails."""

import sys

from moto.ec2.responses.key_pairs import KeyPairs
from moto.server import main

delete_by_name = KeyPairs.delete_key_pair


def delete_key_pair(self):
    """moto ignores KeyPairId, and so deletes nothing (moto 5.2.5)."""
    wanted = self._get_param("KeyPairId")
    for pair in list(self.ec2_backend.key_pairs.values()):
        if pair.id == wanted:
            self.ec2_backend.delete_key_pair(pair.key_name)
    return delete_by_name(self)


KeyPairs.delete_key_pair = delete_key_pair
main(sys.argv[1:])
