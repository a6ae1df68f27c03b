# Linked in by `mobula cc`, so that a module with FAASM_FUNCs needs no main. Whoever calls its entry 0
# all the same gets a trap whose backtrace says why. A real main takes the place of this weak one.
	.functype	this_module_has_no_main () -> ()
	.section	.text.this_module_has_no_main,"",@
	.type	this_module_has_no_main,@function
this_module_has_no_main:
	.functype	this_module_has_no_main () -> ()
	unreachable
	end_function

	.section	.text.main,"",@
	.weak	main
	.type	main,@function
main:
	.functype	main (i32, i32) -> (i32)
	call	this_module_has_no_main
	unreachable
	end_function
