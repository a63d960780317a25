"""`./bift tx transfer|show`: give stake to another member, and see what became of it."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from bift_ros.consensus.blocks import Block
from bift_ros.consensus.payloads import Transfer
from bift_ros.consensus.transactions import Transaction
from bift_ros.console.arguments import Parser, add_vehicle_arguments, positive
from bift_ros.console.errors import CommandError, reporting
from bift_ros.console.keys import add_key_arguments, signing_key
from bift_ros.console.output import listing, show
from bift_ros.console.read_chain import add_source_arguments, chain_of, read_chain
from bift_ros.console.vehicles import running_vehicle, submit
from bift_ros.history.named_chain import NamedChain, utc
from bift_ros.history.transaction_text import says, transaction_object
from bift_ros.identity.keyfile import KeyFileError
from bift_ros.identity.keystore import Keystore, is_account_name
from bift_ros.nodes.client.vehicle_client import MemberState

_ADDRESS = re.compile(r"[0-9a-f]{40}")
_ID = re.compile(r"[0-9a-f]{64}")


def add_arguments(parser: Parser) -> None:
    """Sub-commands and their options."""
    transfer = parser.add_action(
        "transfer",
        "Give stake to another member; print the transaction's id.",
        _transfer,
        epilog="It counts once a block carries it: `bift tx show ID` tells.",
    )
    transfer.add_argument(
        "to", metavar="TO", help="a member's name, an address, or an account's name"
    )
    transfer.add_argument("amount", type=positive, metavar="AMOUNT", help="of stake, from 1")
    add_key_arguments(transfer, "who gives (default: the only account)")
    add_vehicle_arguments(transfer, "passes it on")
    transfer.add_wait()
    transfer.add_json()
    one = parser.add_action(
        "show",
        "Print a transaction, and whether it is on the chain.",
        _show,
        epilog="Exits with 1 where the vehicle knows no such transaction.",
    )
    one.add_argument("id", type=_transaction_id, metavar="ID", help="64 hex digits")
    add_source_arguments(one)
    one.add_json()


def _transfer(arguments: argparse.Namespace) -> None:
    key = signing_key(arguments)
    with running_vehicle(arguments, key.address) as (vehicle, client):
        state = client.state(key.address)
        recipient = find_recipient(arguments.to, state.members, Keystore(arguments.keystore))
        payload = Transfer(recipient, arguments.amount)
        transaction = submit(client, vehicle, key, state, payload, "transfer")
    sent = {"id": transaction.hash.hex(), "from": key.address, "to": recipient}
    document = {**sent, "amount": arguments.amount, "vehicle": vehicle}
    show(arguments.json, document, transaction.hash.hex())


def find_recipient(text: str, members: Sequence[MemberState], keystore: Keystore) -> str:
    """The address that a person means. Raises CommandError where it is none, or two."""
    if _ADDRESS.fullmatch(text):
        return text
    meant = {f"member {m.name}": m.address for m in members if m.name == text and m.active}
    if is_account_name(text) and keystore.file(text).exists():
        with reporting(KeyFileError):
            meant[f"account {text}"] = keystore.account(text).address
    addresses = set(meant.values())
    if not addresses:
        names = ", ".join(member.name for member in members if member.active)
        raise CommandError(
            f"nobody is called {text!r:.80}: TO is a member's name ({names}), an address of 40 hex "
            f"digits, or the name of an account in {keystore.folder}"
        )
    if len(addresses) > 1:
        both = ", ".join(f"the {who} is {address}" for who, address in meant.items())
        raise CommandError(f"{text} may be two: {both}; give the address")
    return addresses.pop()


def _transaction_id(text: str) -> bytes:
    if not _ID.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r:.80} is no transaction's id: it has 64 lower-case hex digits, as "
            "`bift tx transfer` and `bift chain show BLOCK` print it"
        )
    return bytes.fromhex(text)


def _show(arguments: argparse.Namespace) -> int:
    chain, waiting = _look(arguments)
    block, transaction = find_transaction(arguments.id, chain.blocks)
    transaction = transaction or waiting
    if transaction is None:
        return _unknown(arguments, len(chain.blocks))
    shown = _object(transaction, block, chain)
    facts = {
        "id": shown["id"],
        "state": f"on the chain: block {shown['block']}" if block else "waits for a block",
        "time": shown["time"] or "",
        "sender": f"{shown['sender_name']} {transaction.sender}",
        "says": says(transaction.payload, chain.name),
    }
    show(arguments.json, shown, listing(facts, 8))
    return 0


def _look(arguments: argparse.Namespace) -> tuple[NamedChain, Transaction | None]:
    """The chain, and the transaction where it waited just before."""
    if arguments.data is not None:
        return read_chain(arguments), None
    with running_vehicle(arguments) as (vehicle, client):
        # In this order: what leaves the mempool for a block meanwhile is found in the block.
        waiting = client.state(transaction=arguments.id).waiting
        return chain_of(vehicle, client), waiting


def _unknown(arguments: argparse.Namespace, height: int) -> int:
    name = arguments.id.hex()
    if arguments.json:
        show(True, {"id": name, "state": "unknown"})
    waits = "a data folder does not tell what waits" if arguments.data else "it waits for none"
    print(
        f"bift: {name} is in none of {height} blocks ({waits}): it was refused, or this vehicle "
        "has not heard of it",
        file=sys.stderr,
    )
    return 1


def find_transaction(
    tx_hash: bytes, blocks: Iterable[Block]
) -> tuple[Block | None, Transaction | None]:
    """The block that carries a transaction, and the transaction; None where none does."""
    for block in blocks:
        for transaction in block.body.transactions:
            if transaction.hash == tx_hash:
                return block, transaction
    return None, None


def _object(transaction: Transaction, block: Block | None, chain: NamedChain) -> dict[str, Any]:
    return {
        **transaction_object(transaction, chain.name),
        "state": "waiting" if block is None else "included",
        "block": block and block.header.height,
        "block_hash": block and block.hash.hex(),
        "time": block and utc(block.header.timestamp),
        "blocks_above": block and chain.height - block.header.height,
    }
