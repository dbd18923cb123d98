"""The ids and Element tokens that a remote platform answers: none may belong to another instance here."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from instances import crypto
from instances.models import Instance, Organization


@dataclass(frozen=True, slots=True)
class Identity:
    """What a platform says an instance is known by there. instance_id: whose it is to be; None before it is inserted."""

    instance_id: int | None
    organization: Organization
    remote_id: int
    token: str = field(repr=False)


def sentences_of_conflicts(identities: Sequence[Identity]) -> list[str]:
    """For each, to whom it belongs here already, as a clause; empty where it is free.

    Of several that say the same, the first has it. An id counts within an organization, an Element token everywhere.
    """
    ids = _owners_by_id(identities)
    tokens = _owners_by_digest(identities)
    return [_clause(identity, *_claim(identity, ids, tokens)) for identity in identities]


type _IdOwners = dict[tuple[int, int], int | None]
type _TokenOwners = dict[str, int | None]


def _owners_by_id(identities: Iterable[Identity]) -> _IdOwners:
    rows = Instance.objects.filter(
        organization_user__organization__in={one.organization.pk for one in identities},
        remote_id__in={one.remote_id for one in identities},
    )
    found = rows.values_list("organization_user__organization", "remote_id", "pk")
    return {(organization, remote_id or 0): pk for organization, remote_id, pk in found}


def _owners_by_digest(identities: Iterable[Identity]) -> _TokenOwners:
    digests = {digest for one in identities for digest in crypto.digests(one.token)}
    rows = Instance.objects.filter(token_digest__in=digests).values_list("token_digest", "pk")
    return {digest or "": pk for digest, pk in rows}


def _claim(
    identity: Identity, ids: _IdOwners, tokens: _TokenOwners
) -> Iterator[tuple[str, int | None]]:
    """What of it belongs to whom; where that is nobody else, it is this one's from now on."""
    own = identity.instance_id
    id_key = (identity.organization.pk, identity.remote_id)
    digests = crypto.digests(identity.token)
    taken = [(f"the id {identity.remote_id}", ids.get(id_key, own))]
    taken += [("the Element token", tokens.get(digest, own)) for digest in digests]
    others = [(what, owner) for what, owner in taken if owner != own]
    if not others:
        ids[id_key] = own
        tokens.update(dict.fromkeys(digests, own))
    yield from others[:1]


def _clause(identity: Identity, *others: tuple[str, int | None]) -> str:
    if not others:
        return ""
    [(what, owner_id)] = others
    owner = Instance.objects.filter(pk=owner_id or 0).first()
    if owner is None or owner.organization != identity.organization:
        # Nobody learns the names of another organization's instances.
        return f"{what} of another instance here"
    return f"{what} of {owner.label} here"
