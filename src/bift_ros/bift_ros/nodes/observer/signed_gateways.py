"""Where a fleet's members serve files, by what they themselves have signed: for observers."""

from __future__ import annotations

from bift_msgs import msg

from bift_ros.chain.tips import SignedTip, check_tip
from bift_ros.consensus.exceptions import ChainError
from bift_ros.consensus.genesis import Genesis
from bift_ros.nodes import convert


class SignedGateways:
    """Each founding member's newest address; of members who joined later it knows nothing."""

    def __init__(self, genesis: Genesis) -> None:
        self._genesis = genesis
        self._members = {member.address: member for member in genesis.members}
        self._tips: dict[str, SignedTip] = {}

    def take(self, message: msg.Tip) -> None:
        """Note a member's tip; what no member has signed is passed over."""
        try:
            tip = convert.tip_from_message(message)
            known = self._tips.get(tip.sender)
            if known is None or known.stamp < tip.stamp:
                check_tip(tip, self._genesis, self._members)
                self._tips[tip.sender] = tip
        except ChainError:
            pass

    @property
    def urls(self) -> tuple[str, ...]:
        """All that are known; from any thread."""
        return tuple(tip.provider for tip in list(self._tips.values()) if tip.provider)
