"""Counting what a kernel's loops execute, in a disassembly as nvdisasm writes it."""

from scripts.bench_gpu.instructions import counted, functions, least_cycles, loops

DISASSEMBLY = """
.text._Z4fadev:
.L_x_1:
        /*0010*/                   S2R R0, SR_TID.X ;
.L_x_2:
        /*0020*/                   LDS.128 R4, [R0] ;
        /*0030*/              @!P0 MUFU.EX2 R5, R4 ;
        /*0040*/                   FFMA.FTZ R6, R5, R4, R6 ;
        /*0050*/               @P1 BRA `(.L_x_2) ;
        /*0060*/                   IADD3 R0, R0, 0x1, RZ ;
        /*0070*/               @P2 BRA `(.L_x_1) ;
        /*0080*/                   EXIT ;
.L_x_3:
        /*0090*/                   BRA `(.L_x_3) ;
"""


def test_loops_are_told_from_inside_to_outside_and_count_what_is_theirs() -> None:
    (function,) = functions(DISASSEMBLY)
    assert function.name == "_Z4fadev"
    assert loops(function) == [(1, 4), (0, 6)]
    inner, outer = (counted(function, first, last) for first, last in loops(function))
    assert inner == {"shared": 1, "special": 1, "float": 1, "control": 1}
    assert outer == {"integer": 2, "control": 1}


def test_the_slowest_pipe_bounds_a_loop() -> None:
    (function,) = functions(DISASSEMBLY)
    assert least_cycles(counted(function, 1, 4)) == 8
