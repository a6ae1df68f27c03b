"""Faasm's Python interface, in all its generations, on top of `mobula`.

    pyfaasm.core    everything, in camelCase (2019), in snake_case (2020: get_state, chain_this_with_input)
                    and in the last snake_case (2021: read_state, write_state, chain)
    pyfaasm.code    the decorators of its README: faasm_main, faasm_func, chain_this, await_call
    pyfaasm.state   the state functions of its README
"""
