"""Every error that clinicedge raises on purpose.

    ClinicEdgeError
    ├── FilmError                 the film cannot be read or must not be scored
    │   ├── NotAFilmError         not an image, empty, or no pixels in it
    │   ├── DamagedFilmError      cut short or corrupt
    │   ├── FilmColourError       a real colour photograph
    │   ├── FilmSizeError         too small or too large to be a film
    │   ├── OutsideUseError       it says itself that the model was not made for it
    │   └── NoLungsError          a chest model finds no lungs on it
    ├── BundleError               the bundle cannot be used
    │   ├── SchemaError           bundle.json breaks the schema or has an unknown version
    │   ├── IntegrityError        a file is missing or differs from its hash
    │   ├── ArtifactError         no such artifact, graph, precision, threshold or member
    │   │   └── ExplanationError  no such class, or a method that the artifact cannot do
    │   ├── WholeFilmError        its network takes films cropped to the lungs, not whole ones
    │   ├── SignatureError        wrongly signed, or not signed as this device demands
    │   ├── PackError             a pack file that is cut short or holds what no bundle holds
    │   └── AcceptanceError       this machine does not reproduce the recorded answers
    ├── EngineError               the engine cannot run the graph
    │   ├── EngineMissingError    not installed
    │   ├── EngineFallbackError   the engine silently chose another device or precision
    │   └── TensorError           a tensor of another name, shape or dtype than the graph's
    ├── DataError                 a data folder cannot be used
    │   ├── DataManifestError     manifest.csv missing or malformed
    │   └── OverlapError          patients of one part appear in another
    ├── ModelError                a model cannot be built
    │   ├── UnknownModelError     no such name in the zoo
    │   ├── WeightsMissingError   the reference weights are not on this machine
    │   └── CheckpointError       a checkpoint of another architecture or form
    ├── ConversionError           an export failed
    │   ├── ParityError           the export disagrees with the source model
    │   │   └── NoNumbersError    some of its scores are NaN or infinite
    │   ├── BudgetError           INT8 loses more against FP32 than its budget allows
    │   └── RecipeError           the format has no means for the recipe
    ├── ServerError               the clinic's server cannot do what was asked
    │   ├── SettingsError         it would start unsafe, or cannot start
    │   ├── UnknownCaseError      no such case, model or phantom film
    │   ├── OpinionError          an opinion, finding or symptom nobody here has a word for
    │   ├── BusyError             too many films wait already
    │   ├── SlowMapError          a heat map of many runs took too long
    │   └── StoreError            the folder of cases cannot be read
    ├── KeyFileError              a key or the device's trust cannot be read
    └── OutputError               the result cannot be written where it was asked for

A message says what was found, what was expected and what to do.
"""

from collections.abc import Mapping, Sequence


class ClinicEdgeError(Exception):
    """Base of all errors raised on purpose; its text is fit to show to a user."""


class FilmError(ClinicEdgeError):
    """The film cannot be read or must not be scored."""


class NotAFilmError(FilmError):
    """The bytes are no image, are empty, or hold no pixels."""


class DamagedFilmError(FilmError):
    """The file is cut short or corrupt."""


class FilmColourError(FilmError):
    """The image is a colour photograph, not a radiograph."""


class FilmSizeError(FilmError):
    """The image is too small or too large to be a film."""


class OutsideUseError(FilmError):
    """The film declares a modality or body part outside the model's intended use."""


class NoLungsError(FilmError):
    """No lungs are found on a film that a chest model should score."""


class BundleError(ClinicEdgeError):
    """The bundle cannot be used."""


class SchemaError(BundleError):
    """bundle.json breaks the schema or names an unknown version of it."""


class IntegrityError(BundleError):
    """A file of the bundle is missing or differs from the hash in the manifest."""


class ArtifactError(BundleError):
    """The bundle has no such artifact, graph, precision, threshold or member."""


class ExplanationError(ArtifactError):
    """The model has no such class, or its artifact cannot be explained with that method."""


class WholeFilmError(BundleError):
    """A network made for films cropped to the lungs was given a whole film."""


class SignatureError(BundleError):
    """The signature is wrong, or not one that this device accepts."""


class PackError(BundleError):
    """The pack file is cut short, or holds what no bundle holds."""


class AcceptanceError(BundleError):
    """This machine does not reproduce the answers recorded in the bundle."""


class EngineError(ClinicEdgeError):
    """The engine cannot run the graph."""


class EngineMissingError(EngineError):
    """The engine is not installed."""


class EngineFallbackError(EngineError):
    """The engine would run on another device or in another precision than asked for."""


class TensorError(EngineError):
    """A tensor of another name, shape or dtype than the graph's."""


class DataError(ClinicEdgeError):
    """A data folder cannot be used."""


class DataManifestError(DataError):
    """manifest.csv is missing or malformed."""


class OverlapError(DataError):
    """Patients of one part appear in another."""


class ModelError(ClinicEdgeError):
    """A model cannot be built."""


class UnknownModelError(ModelError):
    """The zoo has no model of that name."""


class WeightsMissingError(ModelError):
    """The reference weights are not on this machine."""


class CheckpointError(ModelError):
    """The checkpoint is of another architecture or form.

    `details`: where it does not fit, the names of all that is missing, unexpected and misshapen.
    """

    def __init__(self, words: str, details: Mapping[str, Sequence[str]] | None = None) -> None:
        super().__init__(words)
        self.details = dict(details or {})


class ConversionError(ClinicEdgeError):
    """An export failed."""


class ParityError(ConversionError):
    """The export disagrees with the source model by more than the tolerance."""


class NoNumbersError(ParityError):
    """Some scores of the export are NaN or infinite where the source model's are not."""


class BudgetError(ConversionError):
    """An INT8 artifact loses more against FP32 on the guard part than its budget allows."""


class RecipeError(ConversionError):
    """The format has no means for the recipe that was asked for."""


class ServerError(ClinicEdgeError):
    """The clinic's server cannot do what was asked."""


class SettingsError(ServerError):
    """The server would start unsafe, or cannot start."""


class UnknownCaseError(ServerError):
    """No such case, model or phantom film."""


class OpinionError(ServerError):
    """A first opinion, finding or symptom is no word that the model or this box knows."""


class BusyError(ServerError):
    """Too many films wait already."""


class SlowMapError(ServerError):
    """A heat map that needs many runs of the network was not finished in time."""


class StoreError(ServerError):
    """The folder of cases cannot be read."""


class KeyFileError(ClinicEdgeError):
    """A key file, or the record of what this device trusts, cannot be read or used."""


class OutputError(ClinicEdgeError):
    """The result cannot be written where it was asked for."""
