/* Thread-local storage in the ELF ABI's variant II: a thread's variables lie
 * below its thread pointer (FS.base), a control block from there on. */
#ifndef KERNEL_TLS_H
#define KERNEL_TLS_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that one thread takes: the variables and the control block. */
size_t tls_block_size(void);

/* The thread pointer of the thread whose block (aligned to 16) starts here. */
uintptr_t tls_thread_pointer(uintptr_t block);

/* Gives the variables of a block their initial values, and the control block
 * its pointer to itself and its stack guard value. */
void tls_block_init(uintptr_t block);

/* Loads FS.base. */
void tls_set_thread_pointer(uintptr_t thread_pointer);

/* Makes the stack guard value this start's own. */
void stack_guard_init(void);

/* The stack guard value of code built with -mstack-protector-guard=global. */
extern uintptr_t __stack_chk_guard;

#endif
