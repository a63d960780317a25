"""Why something that arrived is not let in."""

from __future__ import annotations


class NotAdmitted(Exception):  # noqa: N818 - named for what is found, like the consensus exceptions
    """Bytes that become no object, or none that anybody is handed."""

    def __init__(self, what: str, sender: str, reason: str) -> None:
        """`sender` is the member that they name, truly or not; empty where they name none."""
        super().__init__(reason)
        self.what, self.sender, self.reason = what, sender, reason


class OverBudget(Exception):  # noqa: N818
    """More than a member within the rules sends, or than is checked of what names a member."""
