"""Which modules of the consensus are compiled, and why others are not."""

from __future__ import annotations

COMPILED = {
    "consensus": """
        authorship encoding fields fork_choice key_epochs membership model_check proof_of_work
        sharing transaction_rules transition
    """,
    "chain": "blockchain interface keyring mempool store vehicle_folders verification waiting",
    "peer": """
        block_import catch_up config context disputes effects equivocation events fairness files
        group_keys machine mining notes own_transactions phases tip_tracker trainer updates
    """,
    "pofl": """
        bulyan clipping columns distances fedavg fixed_point krum means mixed robust
        sorting_network spectrum trimmed_mean
    """,
    "simulation": """
        byzantine byzantine_blocks byzantine_mining byzantine_rounds byzantine_traffic
        byzantine_vehicle campaign consortium event_queue faults fleet history invariants
        memory_store network requests run vehicle world
    """,
}
"""By room."""

_DICTIONARY = "a compiled class has no __dict__, which cached_property needs"
_CLASS_VARIABLE = "a compiled dataclass takes a ClassVar for a field"
_PICKLED = "a compiled class has no way through a pipe"
_EXCEPTION = "of compiled exceptions mypyc takes two handlers' `error` for one type"

INTERPRETED = {
    "consensus/blocks": _DICTIONARY,
    "consensus/exceptions": _EXCEPTION,
    "consensus/genesis": _DICTIONARY,
    "consensus/group_key": _CLASS_VARIABLE,
    "consensus/payloads": _CLASS_VARIABLE,
    "consensus/state": _DICTIONARY,
    "consensus/transactions": _DICTIONARY,
    "chain/encryption": _EXCEPTION,
    "chain/exceptions": _EXCEPTION,
    "chain/store_check": _EXCEPTION,
    "chain/tips": _DICTIONARY,
    "peer/owner_requests": _EXCEPTION,
    "pofl/aggregate": _EXCEPTION,
    "pofl/codec": _DICTIONARY,
    "pofl/files": _EXCEPTION,
    "pofl/rules": _DICTIONARY,
    "simulation/compilation": "it does the compiling",
    "simulation/compiled_modules": "it holds but names",
    "simulation/results": _PICKLED,
    "simulation/scenario": _PICKLED,
}


def compiled_modules() -> list[str]:
    """The compiled ones as paths in the package."""
    return [f"{room}/{name}.py" for room, names in COMPILED.items() for name in names.split()]
