"""A pretend vendor on the loopback: speaks three wires, plays a script, and accounts for caching as documented.

Invariant: imports nothing of the rest of harness, so that what it says about a client is independent of that
client.
"""

from harness.simulator.answers import Answer, BadAnswer
from harness.simulator.clock import Clock
from harness.simulator.conversation import Said, said
from harness.simulator.faults import Fault
from harness.simulator.models import MODELS, ModelFacts
from harness.simulator.openai_models import OPENAI_MODELS, PROFILES, OpenAIFacts, Profile
from harness.simulator.records import Block, Received, Refusal
from harness.simulator.rules import Rules
from harness.simulator.scenario import Scenario, ScenarioError, ScenarioMismatch
from harness.simulator.server import Simulator

__all__ = [
    "MODELS",
    "OPENAI_MODELS",
    "PROFILES",
    "Answer",
    "BadAnswer",
    "Block",
    "Clock",
    "Fault",
    "ModelFacts",
    "OpenAIFacts",
    "Profile",
    "Received",
    "Refusal",
    "Rules",
    "Said",
    "Scenario",
    "ScenarioError",
    "ScenarioMismatch",
    "Simulator",
    "said",
]
