"""The XML documents of DDS security (DDS-SECURITY 1.1): governance and permissions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from bift_ros.security.rights import Enclave, Rights

_SCHEMA = "{http://www.w3.org/2001/XMLSchema-instance}noNamespaceSchemaLocation"
_PLACE = "http://www.omg.org/spec/DDS-SECURITY/20170901/omg_shared_ca_{}.xsd"


def governance(domains: Sequence[int]) -> bytes:
    """What all participants of these domains keep: nobody without permissions, nothing in clear."""
    root = _document("governance")
    rule = SubElement(SubElement(root, "domain_access_rules"), "domain_rule")
    _domains(rule, domains)
    _texts(
        rule,
        allow_unauthenticated_participants="false",
        enable_join_access_control="true",
        discovery_protection_kind="ENCRYPT",
        liveliness_protection_kind="ENCRYPT",
        rtps_protection_kind="SIGN",
    )
    _texts(
        SubElement(SubElement(rule, "topic_access_rules"), "topic_rule"),
        topic_expression="*",
        enable_discovery_protection="true",
        enable_liveliness_protection="true",
        enable_read_access_control="true",
        enable_write_access_control="true",
        metadata_protection_kind="ENCRYPT",
        data_protection_kind="ENCRYPT",
    )
    return _bytes(root)


def governed_domains(document: bytes) -> tuple[int, ...]:
    """The domains of a governance document."""
    return tuple(int(found.text or "") for found in ElementTree.fromstring(document).iter("id"))


def permissions(
    enclave: Enclave, own: int, fleet: int, not_before: datetime, not_after: datetime
) -> bytes:
    """What an enclave may do on the car's domain and on the fleet's; all else is denied."""
    root = _document("permissions")
    grant = SubElement(SubElement(root, "permissions"), "grant", name=enclave.path)
    _texts(grant, subject_name=f"CN={enclave.path}")
    SubElement(grant, "validity")
    for domain, rights in ((own, enclave.own), (fleet, enclave.fleet)):
        rule = SubElement(grant, "allow_rule")
        _domains(rule, (domain,))
        _topics(SubElement(rule, "publish"), rights.publish)
        _topics(SubElement(rule, "subscribe"), rights.subscribe)
    _texts(grant, default="DENY")
    return renewed(_bytes(root), not_before, not_after)


def renewed(document: bytes, not_before: datetime, not_after: datetime) -> bytes:
    """The same permissions for another time."""
    root = ElementTree.fromstring(document)
    for validity in root.iter("validity"):
        validity.clear()
        _texts(validity, not_before=_time(not_before), not_after=_time(not_after))
    return _bytes(root)


def granted(document: bytes) -> dict[int, Rights]:
    """What a permissions document grants, by domain."""
    return {
        int(rule.findtext("domains/id", "")): Rights(
            *(
                tuple(topic.text or "" for topic in rule.findall(f"{verb}/topics/topic"))
                for verb in ("publish", "subscribe")
            )
        )
        for rule in ElementTree.fromstring(document).iter("allow_rule")
    }


def _document(kind: str) -> Element:
    return Element("dds", {_SCHEMA: _PLACE.format(kind)})


def _domains(rule: Element, numbers: Sequence[int]) -> None:
    domains = SubElement(rule, "domains")
    for number in numbers:
        _texts(domains, id=str(number))


def _topics(criteria: Element, names: Sequence[str]) -> None:
    topics = SubElement(criteria, "topics")
    for name in names:
        _texts(topics, topic=name)


def _texts(parent: Element, **texts: str) -> None:
    for name, text in texts.items():
        SubElement(parent, name).text = text


def _time(moment: datetime) -> str:
    """A dateTime in UTC that names no zone: Fast DDS takes any for the local one's."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")


def _bytes(root: Element) -> bytes:
    ElementTree.register_namespace("xsi", "http://www.w3.org/2001/XMLSchema-instance")
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"
