{{ 'migrations/versions/0001_create_{{cookiecutter.table_name}}.py' | rendered }}
