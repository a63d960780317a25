"""Attacks by a member with its files: what it says there is, and what it gives to who asks."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Callable
from typing import Any

from adversary.stranger import Attack, Attacker, canonical, cdr
from adversary.topics import BLOCKS, TIPS, TRANSACTIONS, now_ms
from bift_ros.chain.tips import sign_tip
from bift_ros.consensus.authorship import read_anonymous_block
from bift_ros.consensus.blocks import Block, ModelInfo
from bift_ros.consensus.payloads import (
    ModelCommit,
    ModelUpdate,
    Payload,
    ShareFile,
    commitment_of,
)
from bift_ros.consensus.transactions import sign_transaction
from bift_ros.storage.cidv1 import DAG_PB, RAW, Cid
from bift_ros.storage.dagpb import Link, encode_node

ENDLESS = 512 << 20
"""Bytes of a file that is announced."""
SALT = bytes(32)
REVEAL_SECONDS = 3.0
"""From a commitment to the update, which nobody hears before the chain has the commitment."""


def current_task(attacker: Attacker) -> ModelInfo:
    """The newest model on the chain, as the vehicles' blocks say."""
    return _newest_model(attacker.overhear(BLOCKS)[BLOCKS], attacker)[1]


def _newest_model(heard: list[bytes], attacker: Attacker) -> tuple[Block, ModelInfo]:
    found: list[tuple[Block, ModelInfo]] = []

    def look() -> bool:
        for message in list(heard):
            block = read_anonymous_block(canonical(message))
            if block.body.model_info is not None:
                found.append((block, block.body.model_info))
        return bool(found)

    attacker.wait(look)
    return max(found, key=lambda pair: pair[0].header.height)


def _bomb() -> tuple[str, dict[str, bytes]]:
    """A file of many gigabytes whose few nodes link one chunk again and again."""
    chunk = bytes(256 << 10)
    cid, size = Cid.of(RAW, chunk), len(chunk)
    blocks = {str(cid): chunk}
    for _ in range(3):
        block = encode_node([Link(cid, size, size)] * 174)
        cid, size = Cid.of(DAG_PB, block), size * 174
        blocks[str(cid)] = block
    return str(cid), blocks


def _endless() -> tuple[str, dict[str, bytes]]:
    """A file of 512 MB of different chunks, of which none ever comes to its end."""
    size = 256 << 10
    links = [
        Link(Cid.of(RAW, number.to_bytes(8, "big")), size, size)
        for number in range(ENDLESS // size)
    ]
    blocks, roots = {}, []
    for start in range(0, len(links), 174):
        block = encode_node(links[start : start + 174])
        cid = Cid.of(DAG_PB, block)
        blocks[str(cid)] = block
        roots.append(Link(cid, len(links[start : start + 174]) * size, 1000))
    root = encode_node(roots)
    cid = Cid.of(DAG_PB, root)
    blocks[str(cid)] = root
    return str(cid), blocks


class _Gateway(http.server.ThreadingHTTPServer):
    """Gives the blocks that it has, and of everything else bytes without end."""

    daemon_threads = True

    def __init__(self, blocks: dict[str, bytes], attacker: Attacker) -> None:
        self.blocks, self.attacker, self.requests = blocks, attacker, 0
        self.sent = 0
        super().__init__(("127.0.0.1", 0), _Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answer(http.server.BaseHTTPRequestHandler):
    server: _Gateway

    def do_GET(self) -> None:
        self.server.requests += 1
        name = self.path.removeprefix("/ipfs/").partition("?")[0]
        block = self.server.blocks.get(name)
        self.send_response(200)
        self.send_header("Content-Length", str(len(block) if block else ENDLESS))
        self.end_headers()
        try:
            if block is not None:
                self.wfile.write(block)
                self.server.sent += len(block)
                return
            while self.server.attacker.running:
                self.server.sent += self.wfile.write(bytes(1 << 16)) or 0
        except OSError:
            return

    def log_message(self, *_: Any) -> None:
        pass


def _bad_files(
    attacker: Attacker, made: Callable[[], tuple[str, dict[str, bytes]]]
) -> dict[str, Any]:
    """Commit to a bad file and show it, in every iteration, for real tasks and made-up ones."""
    cid, blocks = made()
    key, genesis = attacker.key, attacker.genesis
    gateway = _Gateway(blocks, attacker)
    writers = {topic: attacker.writer(topic) for topic in (TRANSACTIONS, TIPS)}
    heard = attacker.overhear(BLOCKS)[BLOCKS]
    seal = commitment_of(cid, SALT, key.address)

    def say(sequence: int, payload: Payload) -> None:
        signed = sign_transaction(key, sequence, payload, genesis.hash)
        attacker.publish(writers[TRANSACTIONS], cdr(signed.to_bytes()))

    seen: dict[int, float] = {}
    while attacker.running:
        block, info = _newest_model(heard, attacker)
        tip = sign_tip(
            key, genesis.hash, height=block.header.height, tip_hash=block.hash,
            learning_weight=1, provider=gateway.url, stamp=now_ms(),
        )  # fmt: skip
        attacker.publish(writers[TIPS], cdr(tip.to_bytes()))
        iteration = info.current_iter + 1
        since = seen.setdefault(iteration, time.monotonic())
        for model, base in ((info.model_id, info.global_cid), ("made-up", cid)):
            say(iteration, ModelCommit(model, iteration, base, block.hash, seal))
            if time.monotonic() - since > REVEAL_SECONDS:
                say(iteration, ModelUpdate(model, iteration, base, cid, 0.9, 100, SALT))
        say(0, ShareFile("tile", cid, ENDLESS, "a map"))
        attacker.spin(0.5)
    gateway.shutdown()
    time.sleep(0.2)
    return {"requests": gateway.requests, "served_mb": gateway.sent >> 20}


def file_bomb(attacker: Attacker) -> dict[str, Any]:
    """A member's updates are a file that unfolds to gigabytes."""
    return _bad_files(attacker, _bomb)


def endless_file(attacker: Attacker) -> dict[str, Any]:
    """A member's updates are a file of 512 MB that comes without end."""
    return _bad_files(attacker, _endless)


ATTACKS: dict[str, Attack] = {attack.__name__: attack for attack in (file_bomb, endless_file)}
