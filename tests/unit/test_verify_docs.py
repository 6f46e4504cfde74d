"""The documentation names the findings of verify that there are, and the rights that it takes."""

import re
from pathlib import Path

from components.verify import rights

ROOT = Path(__file__).parents[2]
GUIDE, SYMPTOMS = ROOT / "docs" / "verify.md", ROOT / "docs" / "troubleshooting.md"


def findings() -> set[str]:
    """What the code tells, but for what is fine."""
    told = r'Level\.(?:PROBLEM|UNKNOWN|NOTE),\s+"([a-z-]+)"'
    return {
        name
        for file in (ROOT / "components" / "verify" / "checks").glob("*.py")
        for name in re.findall(told, file.read_text("utf-8"))
    }


def test_every_finding_is_documented_and_no_other() -> None:
    rows = [line.split("|")[1] for line in GUIDE.read_text("utf-8").splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`([a-z-]+)`", row)} == findings()


def test_the_rights_that_are_documented_are_those_that_the_command_prints() -> None:
    assert f"```yaml\n{rights.CLUSTER_ROLE}```\n" in GUIDE.read_text("utf-8")


def test_no_message_sends_to_a_document_as_the_wheel_has_none() -> None:
    modules = (ROOT / "components").rglob("*.py")
    assert [path.name for path in modules if re.search(r"docs/|\.md\b", path.read_text("utf-8"))] == []


def test_symptoms_lead_to_findings_that_there_are() -> None:
    named = set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", SYMPTOMS.read_text("utf-8")))
    assert named <= findings()
    assert findings() - named <= {"waypoint-unknown", "dropped-spans", "no-running-pods", "object-differs"}
