"""The settings: what the environment (or a file ``.env``) may change. ``.env.example`` lists all of them."""

from geotables.settings import (
    MaxOverflow,
    PoolRecycle,
    PoolSize,
    PoolTimeout,
    ServiceSettings,
    WorkMem,
)

from .auth import AccessSettings


class Settings(AccessSettings, ServiceSettings):
    """Each is named in the environment as it is here, in upper case."""

{{ cookiecutter.project_name | assigned('    title: str') }}
{{ cookiecutter.description | assigned('    description: str') }}

    pool_size: PoolSize = {{ cookiecutter.pool_size }}
    max_overflow: MaxOverflow = {{ cookiecutter.max_overflow }}
    pool_timeout: PoolTimeout = {{ cookiecutter.pool_timeout }}
    pool_recycle: PoolRecycle = {{ cookiecutter.pool_recycle }}
    work_mem: WorkMem = "{{ cookiecutter.work_mem }}"
