"""Attacks on the fleet's three topics, most by a stranger without a key."""

from __future__ import annotations

import os
import random
import struct
import threading
import time
from typing import Any

from adversary.stranger import KINDS, Attack, Attacker, canonical, cdr
from bift_ros.chain.tips import sign_tip
from bift_ros.consensus.blocks import Body, Header, sign_block
from bift_ros.consensus.payloads import ShareFile, Transfer
from bift_ros.consensus.proof_of_work import MIN_NONCE, search
from bift_ros.consensus.transactions import Transaction, sign_transaction
from bift_ros.identity.keys import KeyPair
from bift_ros.storage.cid import cid_of

HUGE = 67_000_000
TRANSACTIONS, BLOCKS, TIPS = KINDS
SECOND_MS = 1000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def _signed_by(key: KeyPair, number: int, attacker: Attacker) -> bytes:
    share = ShareFile(f"junk{number}", cid_of(b"junk"), 1, "A" * 200)
    return sign_transaction(key, number, share, attacker.genesis.hash).to_bytes()


def unknown_senders(attacker: Attacker) -> None:
    """Sound transactions, each of another key that is no member's."""
    writer = attacker.writer(TRANSACTIONS)
    keys = [KeyPair.generate() for _ in range(50)]
    made = [_signed_by(key, number, attacker) for number, key in enumerate(keys)]
    while attacker.running:
        for data in made:
            attacker.publish(writer, cdr(data))


def spoofed_members(attacker: Attacker) -> None:
    """Transactions and tips that name a member who has not signed them; no two alike."""
    writers = [attacker.writer(TRANSACTIONS), attacker.writer(TIPS)]
    key, genesis = KeyPair.generate(), attacker.genesis
    members = [member.address.encode() for member in genesis.members]
    transaction = _signed_by(key, 0, attacker)
    tip = sign_tip(
        key, genesis.hash, height=10**6, tip_hash=bytes(32), learning_weight=10**6,
        provider="http://127.0.0.1:1", stamp=now_ms(),
    ).to_bytes()  # fmt: skip
    while attacker.running:
        for writer, data in zip(writers, (transaction, tip), strict=True):
            for member in members:
                named = data.replace(key.address.encode(), member)
                attacker.publish(writer, cdr(named[:-8] + os.urandom(8)))


def malformed(attacker: Attacker) -> None:
    """No CDR, lengths that lie, and real messages with bytes changed; on all topics."""
    writers = {topic: attacker.writer(topic) for topic in KINDS}
    heard = attacker.overhear(*KINDS)
    rng = random.Random(7)
    while attacker.running:
        for topic, writer in writers.items():
            real = bytearray(rng.choice(heard[topic]))
            for _ in range(rng.randint(1, 8)):
                real[rng.randrange(len(real))] = rng.randrange(256)
            lying = b"\0\1\0\0" + struct.pack("<I", rng.randrange(2**32)) + rng.randbytes(40)
            for message in (bytes(real), bytes(real[: len(real) // 2]), lying, rng.randbytes(99)):
                attacker.publish(writer, message)


def replays(attacker: Attacker) -> None:
    """What members have said, said again and again by several writers at once."""
    writers = {t: [attacker.writer(t) for _ in range(4)] for t in KINDS}
    heard = attacker.overhear(*KINDS)
    while attacker.running:
        attacker.spin(0.0)
        for topic, all_writers in writers.items():
            for message in list(heard[topic])[-40:]:
                for writer in all_writers:
                    attacker.publish(writer, message)


def huge(attacker: Attacker) -> None:
    """Messages of 67 MB, by writers whose types have no bounds."""
    writers = [attacker.writer(topic) for topic in KINDS]
    real = attacker.overhear(BLOCKS)[BLOCKS][-1]
    while attacker.running:
        for writer in writers:
            message = cdr(canonical(real), bytes(HUGE)) if attacker.sent % 2 else cdr(bytes(HUGE))
            attacker.publish(writer, message)


def large(attacker: Attacker) -> None:
    """Messages a little too large, and the largest that are let through to be looked at."""
    writers = [attacker.writer(topic) for topic in KINDS]
    while attacker.running:
        for size in (60_000, 99_000, 150_000, 450_000):
            for writer in writers:
                attacker.publish(writer, cdr(bytes(size)))


def endless_fragments(attacker: Attacker) -> None:
    """Eight writers at once, each with messages of 20 MB that the others' overtake."""

    def write(writer: Any) -> None:
        while attacker.running:
            attacker.publish(writer, cdr(bytes(20_000_000)))

    threads = [
        threading.Thread(target=write, args=(attacker.writer(TRANSACTIONS),)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def relayed_addresses(attacker: Attacker) -> dict[str, Any]:
    """Members' own tips and blocks with another address in them: who fetches from there?"""
    import http.server

    asked: list[str] = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}".encode()
        writers = {topic: attacker.writer(topic) for topic in KINDS}
        heard = attacker.overhear(*KINDS)
        gateways = [gateway.encode() for gateway in attacker.target.gateways]
        while attacker.running:
            attacker.spin(0.2)
            for topic, writer in writers.items():
                for message in heard[topic][-8:]:
                    changed = message
                    for gateway in gateways:
                        changed = changed.replace(gateway, (url + b"/" * 9)[: len(gateway)])
                    attacker.publish(writer, changed)
                    # Beside the canonical bytes, where vehicles once read it.
                    attacker.publish(writer, cdr(canonical(message), _readable(url)))
        server.shutdown()
    return {"requests": len(asked)}


def _readable(text: bytes) -> bytes:
    return struct.pack("<I", len(text) + 1) + text + bytes(64)


# --- by a member ----------------------------------------------------------------------------


def _block(
    attacker: Attacker, parent: Header, transactions: list[Transaction], stamp: int
) -> bytes:
    key, policy = attacker.key, attacker.genesis.policy
    body = Body(tuple(transactions))
    header = Header(
        height=parent.height + 1,
        timestamp=stamp,
        previous_hash=parent.hash,
        body_hash=body.hash,
        model_flag=0,
        miner=key.address,
        difficulty=policy.difficulty,
        nonce=MIN_NONCE,
    )
    found = search(header, MIN_NONCE, 1 << 20)
    assert found is not None, "the work is too much for an attack"
    return sign_block(key, found, body).to_bytes()


def _newest(blocks: list[bytes]) -> Header:
    from bift_ros.consensus.blocks import parse_envelope

    headers = [parse_envelope(canonical(message))[0] for message in list(blocks)]
    return max(headers, key=lambda header: header.height)


def equivocating_miner(attacker: Attacker) -> None:
    """A member signs many blocks on one parent, of sound and of forged transactions."""
    writer, heard = attacker.writer(BLOCKS), attacker.overhear(BLOCKS)
    others = [m.address for m in attacker.genesis.members if m.address != attacker.key.address]
    while attacker.running:
        attacker.spin(0.1)
        parent = _newest(heard[BLOCKS])
        forged = Transaction(others[0], 0, Transfer(attacker.key.address, 10), bytes(64))
        for transactions in ([], [forged]):
            block = _block(attacker, parent, transactions, max(now_ms(), parent.timestamp + 1))
            attacker.publish(writer, cdr(block))


def wrong_clock(attacker: Attacker) -> None:
    """A member whose clock is far ahead, or far behind: its tips, and its blocks."""
    blocks, tips = attacker.writer(BLOCKS), attacker.writer(TIPS)
    heard, key, genesis = attacker.overhear(BLOCKS), attacker.key, attacker.genesis
    year = 365 * 86_400 * SECOND_MS
    while attacker.running:
        attacker.spin(0.1)
        parent = _newest(heard[BLOCKS])
        for stamp in (now_ms() + year, now_ms() + 29 * SECOND_MS, 2**53 - 1, parent.timestamp + 1):
            attacker.publish(blocks, cdr(_block(attacker, parent, [], stamp)))
            tip = sign_tip(
                key, genesis.hash, height=parent.height + 1000, tip_hash=os.urandom(32),
                learning_weight=10**9, provider="http://169.254.169.254", stamp=stamp,
            )  # fmt: skip
            attacker.publish(tips, cdr(tip.to_bytes()))


def talkative_member(attacker: Attacker) -> None:
    """A member sends sound transactions, many more than a member does, and all out of order."""
    writer = attacker.writer(TRANSACTIONS)
    while attacker.running:
        for number in range(1, 200):
            attacker.publish(writer, cdr(_signed_by(attacker.key, number, attacker)))


ATTACKS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        unknown_senders, spoofed_members, malformed, replays, huge, large, endless_fragments,
        relayed_addresses, equivocating_miner, wrong_clock, talkative_member,
    )
}  # fmt: skip
