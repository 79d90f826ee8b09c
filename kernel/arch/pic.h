/* The pair of 8259 interrupt controllers. */
#ifndef ARCH_PIC_H
#define ARCH_PIC_H

#include <stdbool.h>

#define PIC_LINES        16
#define PIC_FIRST_VECTOR 32 /* the first one that is no exception */

/* Line L becomes vector PIC_FIRST_VECTOR + L; every line is masked. */
void pic_init(void);

void pic_unmask(int line);

/* Whether an interrupt that arrived on a line is not a real one: the request
 * went away before the processor acknowledged it, and the controller answered
 * with its lowest-priority line. Such an interrupt must not be ended. */
bool pic_is_spurious(int line);

void pic_end_of_interrupt(int line);

#endif
