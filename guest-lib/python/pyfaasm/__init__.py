"""Faasm's Python interface, in all its generations, on top of `mobula`.

pyfaasm.core    everything, in camelCase (2019: getState), in snake_case (2020: get_state) and
                under the last names (2021: read_state, write_state, chain)
pyfaasm.code    the decorators of its README: faasm_main, faasm_func, chain_this, await_call
pyfaasm.state   the state functions of its README
"""
