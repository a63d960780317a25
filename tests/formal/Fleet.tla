-------------------------------- MODULE Fleet --------------------------------
(* Small fleets in which TLC tries everything that Finality allows.            *)
EXTENDS Finality, TLC

CONSTANTS a, b, c, d, e

\* Two rivals on the genesis.
Rivals == (1 :> 0) @@ (2 :> 0)

FourMembers == [x \in Blocks |-> {a, b, c, d}]

\* On one branch d has left, on the other c.
MembersLeave == (0 :> {a, b, c, d}) @@ (1 :> {a, b, c}) @@ (2 :> {a, b, d})

\* On one branch e has joined, on the other d has left: minutes for TLC.
MembersChange == (0 :> {a, b, c, d}) @@ (1 :> {a, b, c, d, e}) @@ (2 :> {a, b, c})

\* Members who may be taken for each other, which spares TLC most of the work.
Alike == Permutations({a, b, c} \cap Honest) \cup Permutations(Liars)
AlikeBoth == Permutations({a, b})
=============================================================================
