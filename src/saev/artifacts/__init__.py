"""SAEs as files: our own format, and what is known of where they come from."""

from saev.artifacts.provenance import HeldOut as HeldOut
from saev.artifacts.provenance import Provenance as Provenance
from saev.artifacts.provenance import RecordedLayer as RecordedLayer
from saev.artifacts.provenance import TrainingSet as TrainingSet
from saev.artifacts.provenance import differ_in_seed as differ_in_seed
from saev.artifacts.provenance import provenance_of as provenance_of
from saev.artifacts.provenance import trained_on as trained_on
from saev.artifacts.run_directory import RunDirectory as RunDirectory
from saev.artifacts.sae_files import load_sae as load_sae
from saev.artifacts.sae_files import read_provenance as read_provenance
from saev.artifacts.sae_files import save_sae as save_sae
from saev.artifacts.sae_files import write_sae as write_sae
