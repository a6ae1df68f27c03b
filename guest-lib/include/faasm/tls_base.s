# Linked in by `mobula cc` where the linker is LLD 19 or older. Without shared memory these put the
# whole address of a thread-local variable where its distance from __tls_base belongs, so the base
# has to be 0. From LLD 20 on it must not be.
	.globaltype	__tls_base, i32
	.globl	__tls_base
__tls_base:
