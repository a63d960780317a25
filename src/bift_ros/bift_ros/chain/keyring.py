"""A member's keys to the fleet's model files: found again on the chain with its own key alone."""

from __future__ import annotations

from bift_ros.chain.group_key import GroupKey, make_group_key
from bift_ros.chain.group_keys import key_in_force, recipients_of
from bift_ros.chain.state import KeyOfEpoch, State
from bift_ros.identity.keys import KeyPair
from bift_ros.identity.sealing import follow, seal, unseal
from bift_ros.storage.encryption import FileKey, KeyUnavailable, key_name


class Keyring:
    """Opens what is sealed for one member, and what can be reached from there.

    A key is *sound* where all members were given the same one. Whoever can open its copy sees
    that, and whoever can't open it knows that it is not; so all honest members judge alike, and
    use no other. It is *complete* where it also leads back to the last complete one before it: so
    whoever joins can read the model that the fleet has. None leads forward: whoever has left
    reads nothing that is written after.
    """

    def __init__(self, key: KeyPair, genesis_hash: bytes) -> None:
        self._key, self._genesis_hash = key, genesis_hash
        self._secrets: dict[bytes, bytes] = {}
        self._keys: dict[bytes, FileKey] = {}
        """The sound keys by name."""
        self._judged: dict[KeyOfEpoch, bool] = {}
        self._learnt: tuple[KeyOfEpoch, ...] = ()
        self._complete: KeyOfEpoch | None = None
        """The last complete key of what was learnt."""

    def learn(self, state: State) -> None:
        """Take up the chain's keys as of `state`."""
        if state.keys is self._learnt:
            return
        self._learnt = state.keys
        for entry in reversed(state.keys):  # the later ones lead to the earlier
            given = entry.key
            if given.ephemeral not in self._secrets:
                self._keep(given.ephemeral, self._open(entry))
            secret = self._secrets.get(given.ephemeral)
            if secret is not None and given.link and given.previous not in self._secrets:
                self._keep(given.previous, follow(secret, given.link, given.previous))
        self._complete = None
        for entry in state.keys:
            if self._is_sound(entry) and self._leads_back(entry.key):
                self._complete = entry

    def in_force(self, state: State) -> FileKey | None:
        """The key to write with after `state`; None where it can't be read or is not sound."""
        entry = key_in_force(state)
        if entry is None:
            return None
        self.learn(state)
        return self._keys.get(entry.key.ephemeral)

    def is_wanting(self, state: State) -> bool:
        """Whether the members of `state` need another key than they have, or one at all."""
        self.learn(state)
        entry = key_in_force(state)
        return entry is None or entry is not self._complete

    def encrypt(self, state: State, data: bytes) -> bytes:
        """Give a model's file as the chain after `state` wants it; raises KeyUnavailable."""
        key = self.in_force(state)
        if key is None:
            raise KeyUnavailable(
                "the fleet has no key for its present members that this vehicle can read (yet)"
            )
        return key.encrypt(data)

    def decrypt(self, file: bytes) -> bytes:
        """Give a model file's plaintext; raises EncryptionError or KeyUnavailable."""
        name = key_name(file)
        key = self._keys.get(name)
        if key is None:
            raise KeyUnavailable(f"this vehicle has no key {name.hex()[:16]}… (yet)")
        return key.decrypt(file)

    def own_key(self, state: State) -> GroupKey:
        """The key that this vehicle gives to the members of `state`; the same each time."""
        self.learn(state)
        secret = self._key.derive(b"bift group key" + self._genesis_hash + state.epoch)
        earlier = self._secrets[self._complete.key.ephemeral] if self._complete else None
        return make_group_key(secret, state.epoch, len(state.keys), recipients_of(state), earlier)

    def _open(self, entry: KeyOfEpoch) -> bytes | None:
        own = self._key.public_key
        if own not in entry.recipients:
            return None
        return unseal(self._key, entry.key.sealed, entry.recipients.index(own))

    def _is_sound(self, entry: KeyOfEpoch) -> bool:
        secret = self._secrets.get(entry.key.ephemeral)
        if secret is None:
            return False
        if entry not in self._judged:
            self._judged[entry] = seal(secret, entry.recipients) == entry.key.sealed
            if self._judged[entry]:
                self._keys[entry.key.ephemeral] = FileKey(secret)
        return self._judged[entry]

    def _leads_back(self, key: GroupKey) -> bool:
        """Whether a key leads to the last complete one before it, where there is one."""
        if self._complete is None:
            return not key.previous
        secret = self._secrets[key.ephemeral]
        name = self._complete.key.ephemeral
        return key.previous == name and follow(secret, key.link, name) is not None

    def _keep(self, name: bytes, secret: bytes | None) -> None:
        if secret is not None:
            self._secrets[name] = secret
