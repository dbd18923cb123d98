"""Find ids and Element tokens that already belong to another instance here."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from instances.crypto import sealing
from instances.models import Instance, Organization


@dataclass(frozen=True, slots=True)
class Identity:
    """The id and Element token that a platform returns for an instance.

    instance_id: the instance here; None before it is inserted.
    """

    instance_id: int | None
    organization: Organization
    remote_id: int
    token: str = field(repr=False)


def owned_by_others(identities: Sequence[Identity]) -> list[str]:
    """Describe what of each identity another instance owns; empty if nothing.

    If several identities contain the same, the first one owns it. Ids are compared within an organization, Element
    tokens everywhere.
    """
    ids = _owners_by_id(identities)
    tokens = _owners_by_digest(identities)
    return [_owned(identity, *_claim(identity, ids, tokens)) for identity in identities]


type _IdOwners = dict[tuple[int, int], int | None]
type _TokenOwners = dict[str, int | None]


def _owners_by_id(identities: Iterable[Identity]) -> _IdOwners:
    rows = Instance.objects.filter(
        organization_user__organization__in={identity.organization.pk for identity in identities},
        remote_id__in={identity.remote_id for identity in identities},
    )
    found = rows.values_list("organization_user__organization", "remote_id", "pk")
    return {(organization, remote_id or 0): pk for organization, remote_id, pk in found}


def _owners_by_digest(identities: Iterable[Identity]) -> _TokenOwners:
    digests = {digest for identity in identities for digest in sealing.digests(identity.token)}
    rows = Instance.objects.filter(token_digest__in=digests).values_list("token_digest", "pk")
    return {digest or "": pk for digest, pk in rows}


def _claim(
    identity: Identity, ids: _IdOwners, tokens: _TokenOwners
) -> Iterator[tuple[str, int | None]]:
    """Yield what another instance owns and its id, else note this one as owner."""
    own = identity.instance_id
    id_key = (identity.organization.pk, identity.remote_id)
    digests = sealing.digests(identity.token)
    taken = [(f"the id {identity.remote_id}", ids.get(id_key, own))]
    taken += [("the Element token", tokens.get(digest, own)) for digest in digests]
    others = [(what, owner) for what, owner in taken if owner != own]
    if not others:
        ids[id_key] = own
        tokens.update(dict.fromkeys(digests, own))
    yield from others[:1]


def _owned(identity: Identity, *others: tuple[str, int | None]) -> str:
    if not others:
        return ""
    [(what, owner_id)] = others
    owner = Instance.objects.filter(pk=owner_id or 0).first()
    if owner is None or owner.organization != identity.organization:
        # Never reveal the names of another organization's instances.
        return f"{what}, which belongs to another instance here"
    return f"{what}, which belongs to {owner.label}"
