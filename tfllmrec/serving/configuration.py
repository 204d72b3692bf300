"""Model server configuration: models, the versions that each policy selects, and labels."""

from pathlib import Path
from typing import Any

from tensorflow_serving.config import model_server_config_pb2

from tfllmrec.errors import InputError
from tfllmrec.export.versions import version_folders
from tfllmrec.serving.config_files import read_message


def one_model(name: str, base_path: Path) -> list[Any]:
    """Return the configuration of a server with a single model: a list of one `ModelConfig`.

    Raises:
        InputError: If the folder is a version of a model.
    """
    base_path = base_path.absolute()
    if (base_path / "saved_model.pb").exists():
        raise InputError(f"{base_path} is a single version of a model: use its parent folder, {base_path.parent}")
    return [model_server_config_pb2.ModelConfig(name=name, base_path=str(base_path), model_platform="tensorflow")]


def read_config(path: Path) -> list[Any]:
    """Read the `ModelConfig`s of a `--model_config_file`.

    Raises:
        InputError: If the file cannot be read or parsed, or `checked_configs` refuses its content.
    """
    message = read_message(path, model_server_config_pb2.ModelServerConfig)
    try:
        return checked_configs(message)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def checked_configs(message: Any) -> list[Any]:
    """Return the `ModelConfig`s of a `ModelServerConfig`.

    Raises:
        InputError: If there is no model, a model has no name, another platform or a relative path, or occurs twice.
    """
    if message.WhichOneof("config") != "model_config_list":
        raise InputError(
            "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently "
            "supported"
        )
    configs = list(message.model_config_list.config)
    names = [config.name for config in configs]
    if not names or "" in names:
        raise InputError("model_config_list must have at least one model, and every model must have a name")
    if duplicates := [name for name in names if names.count(name) > 1]:
        raise InputError(f"Illegal to list model {duplicates[0]} multiple times in config list")
    for config in configs:
        if not Path(config.base_path).is_absolute():
            sentence = f"Expected model {config.name} to have an absolute path or URI"
            raise InputError(f"{sentence}; got base_path()={config.base_path}")
        _check_platform(config)
    return configs


def _check_platform(config: Any) -> None:
    choice = "ModelServerConfig::model_type (deprecated) {} ModelServerConfig::model_platform, model name is {}"
    if config.model_type and config.model_platform:
        raise InputError(f"Illegal setting both {choice.format('and', config.name)}")
    if not (config.model_type or config.model_platform):
        raise InputError(f"Illegal setting neither {choice.format('nor', config.name)}")
    if config.model_type not in (0, model_server_config_pb2.TENSORFLOW):
        raise InputError(f"ModelServerConfig::model_type choice {config.model_type} not supported.")
    if config.model_platform not in ("", "tensorflow"):
        raise InputError(f"Model {config.name} requests unsupported platform {config.model_platform}")


def selected_versions(config: Any) -> dict[int, Path]:
    """Return the version folders that the policy of a `ModelConfig` selects; the newest version by default.

    Raises:
        InputError: If the folder has no versions, or the policy names a version that does not exist.
    """
    folders = dict(sorted(version_folders(Path(config.base_path)).items()))
    if not folders:
        raise InputError(
            f"No versions of servable {config.name} found under base path {config.base_path}: no folder has a version "
            "number as its name. Create one with `tfllmrec export`"
        )
    policy = config.model_version_policy
    if policy.HasField("all"):
        return folders
    if policy.HasField("specific"):
        if missing := sorted(set(policy.specific.versions) - set(folders)):
            raise InputError(f"model {config.name}: {config.base_path} has no version {missing[0]}")
        return {version: folders[version] for version in sorted(policy.specific.versions)}
    return dict(list(folders.items())[-max(1, policy.latest.num_versions) :])
