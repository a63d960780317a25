------------------------------ MODULE Finality ------------------------------
(* How the members of a fleet make blocks final: docs/formal.md maps each       *)
(* action to its function.                                                       *)
(*                                                                               *)
(* Honest members may do more here than in the code: prevote for any block above *)
(* what they hold justified, enter any later round at any time, and precommit    *)
(* late or not at all. So whatever clocks, blocks' arrival and choices are, it   *)
(* is covered.                                                                   *)
(* A liar's vote is cast where a quorum is made with it, for anything, for each  *)
(* of several rivals, and to be seen by whom it likes.                           *)
EXTENDS Integers, FiniteSets

CONSTANTS
    Honest, Liars,     \* the members, all who ever are
    Blocks,            \* natural numbers; 0 is the genesis
    Parent,            \* block -> the block below it
    Electorate,        \* block -> the members after it
    MaxRound           \* where the exploration ends

ASSUME 0 \in Blocks /\ \A b \in Blocks \ {0}: Parent[b] \in Blocks /\ Parent[b] < b

Members == Honest \cup Liars

VARIABLES
    justified,    \* honest member -> the highest justified [round, block] that it has seen
    final,        \* honest member -> its last final block
    prevotes,     \* member -> the statements that it has prevoted
    precommits    \* member -> the statements that it has precommitted

vars == <<justified, final, prevotes, precommits>>

-----------------------------------------------------------------------------
(* Blocks *)

RECURSIVE Below(_)
Below(b) == IF b = 0 THEN {0} ELSE {b} \cup Below(Parent[b])

Conflict(a, b) == a \notin Below(b) /\ b \notin Below(a)

\* The blocks from one up to a later one, both included.
Path(low, high) == {b \in Below(high): low \in Below(b)}

ForkPoint(a, b) == CHOOSE x \in Below(a) \cap Below(b):
                       \A y \in Below(a) \cap Below(b): y \in Below(x)

-----------------------------------------------------------------------------
(* Votes *)

Start == [round |-> 0, block |-> 0]

Statement == [round: 1..MaxRound, block: Blocks \ {0}, source: [round: 0..MaxRound, block: Blocks]]

MoreThanThirds(k, voters, low, high) ==
    \A b \in Path(low, high):
        3 * Cardinality(voters \cap Electorate[b]) > k * Cardinality(Electorate[b])

IsQuorum(voters, low, high) == MoreThanThirds(2, voters, low, high)

Cast(votes, s) == {m \in Members: s \in votes[m]}

\* Liars of whom it takes every one to complete a quorum: none where the others are enough.
Helpers(votes, s, low) ==
    LET there == Cast(votes, s) IN
    {l \in SUBSET (Liars \ there):
        /\ IsQuorum(there \cup l, low, s.block)
        /\ \A one \in l: ~IsQuorum((there \cup l) \ {one}, low, s.block)}

\* Whether a quorum of prevotes is there that anybody can be shown.
RECURSIVE IsJustified(_, _)
IsJustified(at, low) ==
    \/ at = Start
    \/ \E s \in UNION {prevotes[m]: m \in Members}:
        /\ s.round = at.round /\ s.block = at.block
        /\ low \in Below(s.block) => IsQuorum(Cast(prevotes, s), low, s.block)
        /\ low \notin Below(s.block) => IsQuorum(Cast(prevotes, s), 0, s.block)
        /\ IsJustified(s.source, low)

\* Two votes of one member that no honest member casts both.
IsDouble(m) ==
    \/ \E s, t \in prevotes[m]: s # t /\ s.round = t.round
    \/ \E s, t \in precommits[m]: s # t /\ s.round = t.round
    \/ \E s \in precommits[m], t \in prevotes[m]:
           t.source.round < s.round /\ s.round < t.round

-----------------------------------------------------------------------------
(* What happens *)

Init ==
    /\ justified = [m \in Honest |-> Start]
    /\ final = [m \in Honest |-> 0]
    /\ prevotes = [m \in Members |-> {}]
    /\ precommits = [m \in Members |-> {}]

\* Whether it is a member at a block that may be the tip of who votes for one.
IsMemberAbove(m, b) == \E tip \in Blocks: b \in Below(tip) /\ m \in Electorate[tip]

\* In a round after all that it has voted in.
Prevote(m, r, b) ==
    /\ IsMemberAbove(m, b)
    /\ justified[m].block \in Below(b) /\ b # final[m]
    /\ justified[m].round < r
    /\ \A t \in prevotes[m] \cup precommits[m]: t.round < r
    /\ prevotes' = [prevotes EXCEPT
           ![m] = @ \cup {[round |-> r, block |-> b, source |-> justified[m]]}]
    /\ UNCHANGED <<justified, final, precommits>>

Higher(at, s) == IF s.round > at.round THEN [round |-> s.round, block |-> s.block] ELSE at

\* A quorum of prevotes is seen.
Justify(m, s, helpers) ==
    /\ final[m] \in Below(s.block)
    /\ IsJustified(s.source, final[m])
    /\ s.round > justified[m].round
    /\ justified' = [justified EXCEPT ![m] = Higher(@, s)]
    /\ prevotes' = [n \in Members |->
           IF n \in helpers THEN prevotes[n] \cup {s} ELSE prevotes[n]]
    /\ UNCHANGED <<final, precommits>>

\* It is precommitted, unless the member has gone on to a later round.
Precommit(m, s) ==
    /\ IsMemberAbove(m, s.block)
    /\ final[m] \in Below(s.block)
    /\ IsQuorum(Cast(prevotes, s), final[m], s.block) /\ IsJustified(s.source, final[m])
    /\ s.round <= justified[m].round
    /\ \A t \in prevotes[m]: t.round <= s.round
    /\ \A t \in precommits[m]: t.round < s.round
    /\ precommits' = [precommits EXCEPT ![m] = @ \cup {s}]
    /\ UNCHANGED <<justified, final, prevotes>>

\* A certificate is seen.
Finalize(m, s, helpers) ==
    /\ final[m] \in Below(s.block) /\ s.block # final[m]
    /\ final' = [final EXCEPT ![m] = s.block]
    /\ justified' = [justified EXCEPT ![m] = Higher(@, s)]
    /\ precommits' = [n \in Members |->
           IF n \in helpers THEN precommits[n] \cup {s} ELSE precommits[n]]
    /\ UNCHANGED prevotes

\* What may be said of a round and its source at all.
Sayable == {s \in Statement: s.source.round < s.round /\ s.source.block \in Below(s.block)
                                 /\ (s.source.round = 0 <=> s.source.block = 0)}

Next ==
    \E m \in Honest:
        \/ \E r \in 1..MaxRound, b \in Blocks \ {0}: Prevote(m, r, b)
        \/ \E s \in Sayable:
            \/ \E h \in Helpers(prevotes, s, final[m]): Justify(m, s, h)
            \/ Precommit(m, s)
            \/ \E h \in Helpers(precommits, s, final[m]): Finalize(m, s, h)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
(* What must hold *)

\* Two honest members never hold rivals final.
Agreement == \A m, n \in Honest: ~Conflict(final[m], final[n])

\* However many lie: where they do, more than a third of the members at the fork are found out.
Evidence ==
    \A m, n \in Honest: Conflict(final[m], final[n]) =>
        LET there == Electorate[ForkPoint(final[m], final[n])] IN
        3 * Cardinality({x \in there: IsDouble(x)}) > Cardinality(there)

\* Nobody honest can be found guilty.
Innocence == \A m \in Honest: ~IsDouble(m)
=============================================================================
