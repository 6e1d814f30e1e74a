{{ 'hooks/pre_gen_project.py' | rendered }}
