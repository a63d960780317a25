"""A member's keys to the fleet's model files: found again on the chain with its own key alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bift_ros.chain.encryption import FileKey, KeyUnavailable, key_name
from bift_ros.consensus.group_key import MAX_LINKS, GroupKey, make_group_key
from bift_ros.consensus.key_epochs import key_in_force, recipients_of
from bift_ros.consensus.state import KeyOfEpoch, State
from bift_ros.identity.keys import KeyPair
from bift_ros.identity.sealing import seal, unseal

_MAXIMUM_SECRETS = 16_384


class Keyring:
    """Opens what is sealed for one member, and what can be reached from there.

    A key is *sound* where all members were given the same one. Whoever can open its copy sees
    that, and whoever can't open it knows that it is not; so all honest members judge alike, and
    use no other. It is *complete* where it also leads back to the complete ones of the members
    before: so whoever joins can read the model that the fleet has. None leads forward: whoever
    has left reads nothing that is written after.
    """

    def __init__(self, key: KeyPair, genesis_hash: bytes) -> None:
        self._key, self._genesis_hash = key, genesis_hash
        self._secrets: dict[bytes, bytes] = {}
        self._keys: dict[bytes, FileKey] = {}
        """The sound keys by name."""
        self._judged: dict[KeyOfEpoch, bool] = {}
        self._learnt: tuple[KeyOfEpoch, ...] | None = ()
        self._complete: list[KeyOfEpoch] = []
        """The complete keys of what was learnt."""

    def learn(self, state: State) -> None:
        """Take up the chain's keys as of `state`."""
        if state.keys is self._learnt:
            return
        self._learnt = state.keys
        self._collect(entry.key for entry in reversed(state.keys))
        self._complete = []
        for entry in state.keys:
            if self._is_sound(entry) and self._leads_back(entry.key):
                self._complete.append(entry)

    def hint(self, keys: Sequence[GroupKey]) -> bool:
        """Take up keys that the chain may bring later, newest first; whether one was opened.

        A new member needs them to check the blocks before those that bring them. Nobody has to be
        trusted: a secret is what its name says, and counts once the chain has its key.
        """
        if len(self._secrets) > _MAXIMUM_SECRETS or not self._collect(keys):
            return False
        self._learnt = None
        return True

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
        return entry is None or entry not in self._complete

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
        earlier = [self._secrets[name] for name in self._names_before(state.epoch)]
        return make_group_key(secret, state.epoch, recipients_of(state), earlier)

    def _is_sound(self, entry: KeyOfEpoch) -> bool:
        secret = self._secrets.get(entry.key.ephemeral)
        if secret is None:
            return False
        if entry not in self._judged:
            self._judged[entry] = seal(secret, entry.recipients) == entry.key.sealed
            if self._judged[entry]:
                self._keys[entry.key.ephemeral] = FileKey(secret)
        return self._judged[entry]

    def _names_before(self, epoch: bytes) -> list[bytes]:
        """The complete keys of the last members before `epoch` who have any, newest last."""
        before = [entry.key for entry in self._complete if entry.key.epoch != epoch]
        return [key.ephemeral for key in before if key.epoch == before[-1].epoch][-MAX_LINKS:]

    def _leads_back(self, key: GroupKey) -> bool:
        found = key.earlier(self._secrets[key.ephemeral])
        return all(found.get(name) is not None for name in self._names_before(key.epoch))

    def _collect(self, keys: Iterable[GroupKey]) -> bool:
        """Open what can be opened; the later keys, which come first, lead to the earlier."""
        before = len(self._secrets)
        for given in keys:
            if given.ephemeral not in self._secrets:
                self._keep(given.ephemeral, unseal(self._key, given.sealed))
            secret = self._secrets.get(given.ephemeral)
            if secret is not None:
                for name, earlier in given.earlier(secret).items():
                    self._keep(name, earlier)
        return len(self._secrets) > before

    def _keep(self, name: bytes, secret: bytes | None) -> None:
        if secret is not None:
            self._secrets[name] = secret
