"""The records that the sandbox's CRM has from the start: the same everywhere."""

import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any

type Row = dict[str, Any]

CONTACTS = 10_000
ACCOUNTS = 200
_NAMESPACE = uuid.UUID("4d2b8f3e-6c1a-4f0e-9b57-0a8e5d3c7100")
_BEGINNING = datetime(2026, 1, 1, 8, tzinfo=UTC)
_FIRST_NAMES = (
    "Anneke", "Marc", "Sofie", "Ines", "Tomasz", "Aiko", "Bjarne", "Chiara", "Dmitri", "Elif", "Farid", "Greta",
    "Hugo", "Imani", "Jonas", "Keira", "Luca", "Mireille", "Nadia", "Oskar",
)  # fmt: skip
_LAST_NAMES = (
    "de Wit", "Fontaine", "Holm", "Duarte", "Zielinski", "Tanaka", "Lindqvist", "Ricci", "Volkov", "Yilmaz", "Haddad",
    "Vogel", "Moreau", "Okafor", "Keller", "O'Brien", "Bianchi", "Dubois", "Petrov", "Nyström", "Müller", "Janssen",
    "Ferrari", "Castro", "Novak",
)  # fmt: skip
_CITIES = (
    "Rotterdam",
    "Lyon",
    "Aarhus",
    "Porto",
    "Gdańsk",
    "Osaka",
    "Malmö",
    "Torino",
    "İzmir",
    "Köln",
)
_TITLES = ("Head of Operations", "Buyer", "Chief Financial Officer", "Engineer", "Consultant")
_TRADES = ("Logistics", "Foods", "Energy", "Ceramics", "Tools", "Textiles", "Optics", "Marine")


def _id(kind: str, number: int) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{kind}-{number}"))


def _at(number: int) -> str:
    return (_BEGINNING + timedelta(minutes=7 * number)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _times(number: int) -> Row:
    return {"createdon": _at(number), "modifiedon": _at(number + number % 3), "statecode": 0}


def accounts() -> list[Row]:
    known = [
        ("Harbour Logistics", "Rotterdam", "+31 10 555 0101", 12400000.0, 86),
        ("Orchard Foods", "Lyon", "+33 4 5555 0102", 3900000.0, 31),
        ("Lantern Energy", "Aarhus", "+45 5555 0103", 48100000.0, 240),
    ]
    made = [
        (
            f"{_LAST_NAMES[n % 25]} {_TRADES[n % 8]}",
            _CITIES[n % 10],
            f"+49 555 {n:04}",
            n * 25000.0,
            n,
        )
        for n in range(3, ACCOUNTS)
    ]
    names = ("name", "address1_city", "telephone1", "revenue", "numberofemployees")
    return [
        {"accountid": account_id(n), **dict(zip(names, row, strict=True)), **_times(n)}
        for n, row in enumerate([*known, *made])
    ]


def account_id(number: int) -> str:
    """The id of an account; the first three have names of their own."""
    return (
        f"9e1f6a52-33b8-4c0d-8a6e-51c07d2b9a0{number + 1}" if number < 3 else _id("account", number)
    )


def contact_id(number: int) -> str:
    return (
        f"b7c40d1e-0f6b-4a53-92d8-6e3a1f5c8b0{number + 1}" if number < 3 else _id("contact", number)
    )


def contacts() -> list[Row]:
    return [_contact(number) for number in range(CONTACTS)]


def _contact(number: int) -> Row:
    # The first three work for the first three accounts, under their names.
    first = _FIRST_NAMES[number % 20]
    last = _LAST_NAMES[number % 25 if number < 25 else number // 20 % 25]
    company = (
        ("harbour", "orchard", "lantern")[number] if number < 3 else f"company{number % ACCOUNTS}"
    )
    mailbox = first.lower() if number < 3 else f"{first.lower()}.{number}"
    return {
        "contactid": contact_id(number),
        "firstname": first,
        "lastname": last,
        "fullname": f"{first} {last}",
        "jobtitle": _TITLES[number % 5],
        "emailaddress1": f"{mailbox}@{company}.example",
        "telephone1": f"555{number:05}",
        "address1_city": _CITIES[number % 10],
        "birthdate": (date(1950, 1, 1) + timedelta(days=number * 2)).isoformat()
        if number % 4
        else None,
        "donotemail": number % 7 == 0,
        "numberofchildren": number % 5,
        "creditlimit": number * 12.5,
        "preferredcontactmethodcode": number % 5 + 1,
        "_parentcustomerid_value": account_id(number % ACCOUNTS),
        **_times(number),
    }


def leads() -> list[Row]:
    return [
        {
            "leadid": _id("lead", n), "subject": ("Asked for a price list", "Met at the spring fair")[n % 2],
            "fullname": f"{_FIRST_NAMES[(n + 3) % 20]} {_LAST_NAMES[(n + 3) % 25]}",
            "companyname": f"{_LAST_NAMES[(n + 3) % 25]} {_TRADES[(n + 3) % 8]}",
            "emailaddress1": f"lead{n}@prospect.example", "leadqualitycode": n % 3 + 1, **_times(n),
        }
        for n in range(50)
    ]  # fmt: skip


def opportunities() -> list[Row]:
    return [
        {
            "opportunityid": _id("opportunity", n), "name": ("Second warehouse", "Service contract")[n % 2],
            "estimatedvalue": n * 1000.0, "estimatedclosedate": (date(2027, 1, 1) + timedelta(days=n)).isoformat(),
            "closeprobability": n % 101, "_parentaccountid_value": account_id(n), **_times(n),
        }
        for n in range(100)
    ]  # fmt: skip


def products() -> list[Row]:
    return [
        {"productid": _id("product", n), "name": f"Product {n}", "productnumber": f"P-{n:04}", "price": n * 9.5, **_times(n)}
        for n in range(20)
    ]  # fmt: skip


def tasks() -> list[Row]:
    return [
        {"activityid": _id("task", n), "subject": f"Call back {n}", "scheduledend": _at(n * 50), "_regardingobjectid_value": account_id(n), **_times(n)}
        for n in range(100)
    ]  # fmt: skip


def cases() -> list[Row]:
    return [
        {"incidentid": _id("case", n), "title": f"Delivery {n} is late", "_customerid_value": account_id(n), **_times(n)}
        for n in range(30)
    ]  # fmt: skip


def notes() -> list[Row]:
    return [
        {"annotationid": _id("note", n), "subject": f"Note {n}", "notetext": "Prefers email.", "_objectid_value": contact_id(n % 20), "createdon": _at(n), "modifiedon": _at(n)}
        for n in range(60)
    ]  # fmt: skip


def calls() -> list[Row]:
    return [
        {"activityid": _id("call", n), "subject": f"Call {n}", "_regardingobjectid_value": contact_id(n), **_times(n)}
        for n in range(20)
    ]  # fmt: skip


def lists() -> list[Row]:
    return [{"listid": _id("list", n), "listname": f"Campaign {n}", **_times(n)} for n in range(5)]


def articles() -> list[Row]:
    return [
        {"knowledgearticleid": _id("article", n), "title": f"How to return parcel {n}", "content": "Send it back.", **_times(n)}
        for n in range(10)
    ]  # fmt: skip


def users() -> list[Row]:
    return [
        {"systemuserid": _id("user", n), "fullname": f"{_FIRST_NAMES[n]} {_LAST_NAMES[-n - 1]}", "internalemailaddress": f"user{n}@sandbox.example", "isdisabled": False, "createdon": _at(n), "modifiedon": _at(n)}
        for n in range(3)
    ]  # fmt: skip
