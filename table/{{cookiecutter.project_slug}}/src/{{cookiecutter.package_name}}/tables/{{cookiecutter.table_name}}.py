{{ 'src/{{cookiecutter.package_name}}/tables/{{cookiecutter.table_name}}.py' | rendered }}
