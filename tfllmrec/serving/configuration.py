"""What a configuration asks for: models, the versions of each that its policy wants, and labels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorflow_serving.config import model_server_config_pb2

from tfllmrec.errors import InputError
from tfllmrec.export.versions import version_folders
from tfllmrec.serving.text_files import read_message


def one_model(name: str, base_path: Path) -> list[Any]:
    """The configuration of a server with a single model, as a list of one `ModelConfig`."""
    base_path = base_path.absolute()
    if (base_path / "saved_model.pb").exists():
        raise InputError(f"{base_path} is a version of a model: give the folder that holds it, {base_path.parent}")
    return [model_server_config_pb2.ModelConfig(name=name, base_path=str(base_path), model_platform="tensorflow")]


def read_config(path: Path) -> list[Any]:
    """The `ModelConfig`s of a `--model_config_file`.

    Raises:
        InputError: no such file, no such text, no models, a model twice, or a path that is not absolute.
    """
    message = read_message(path, model_server_config_pb2.ModelServerConfig, "model server configuration")
    return checked_configs(message, str(path))


def checked_configs(message: Any, source: str) -> list[Any]:
    """The `ModelConfig`s of a `ModelServerConfig`; errors name their source."""
    configs = list(message.model_config_list.config)
    names = [config.name for config in configs]
    if not names or "" in names:
        raise InputError(f"{source}: model_config_list must name at least one model, and every config has a name")
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{source}: model {twice[0]} is listed twice")
    for config in configs:
        if not Path(config.base_path).is_absolute():
            raise InputError(f"{source}: base_path of model {config.name} must be absolute, not {config.base_path!r}")
        if config.model_platform != "tensorflow":
            raise InputError(f'{source}: model {config.name} must have model_platform: "tensorflow"')
    return configs


def wanted_versions(config: Any) -> dict[int, Path]:
    """The versions a `ModelConfig`'s policy asks for: the newest one, unless it says otherwise.

    Raises:
        InputError: a folder without versions, or without one that is asked for.
    """
    there = dict(sorted(version_folders(Path(config.base_path)).items()))
    if not there:
        raise InputError(
            f"{config.base_path} is no export: it has no folder named by a version number; `tfllmrec export` makes one"
        )
    policy = config.model_version_policy
    if policy.HasField("all"):
        return there
    if policy.HasField("specific"):
        if missing := sorted(set(policy.specific.versions) - set(there)):
            raise InputError(f"model {config.name}: {config.base_path} has no version {missing[0]}")
        return {version: there[version] for version in sorted(policy.specific.versions)}
    return dict(list(there.items())[-max(1, policy.latest.num_versions) :])


def labels_of(config: Any, wanted: Mapping[int, Path]) -> dict[str, int]:
    """The versions of a `ModelConfig` by label.

    Raises:
        InputError: a label's version is not among those that are wanted.
    """
    for label, version in config.version_labels.items():
        if version not in wanted:
            raise InputError(f"model {config.name}: label {label} is for version {version}, which is not loaded")
    return dict(config.version_labels)
