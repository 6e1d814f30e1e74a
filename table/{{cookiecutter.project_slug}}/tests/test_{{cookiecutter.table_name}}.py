{{ 'tests/test_{{cookiecutter.table_name}}.py' | rendered }}
