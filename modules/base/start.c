/* SPDX-License-Identifier: MIT */
/*
 * The entry of the released program on x86-64: applies the packed relative relocations (DT_RELR)
 * that musl's start code before 1.2.4 does not know, then goes on to that code. A position
 * independent program has one relocation for every pointer in its tables, and netkit's descriptors
 * are tables of pointers: 24 bytes for each in the form that all start codes know, here a bit.
 *
 * The form (System V gABI, "Relative relocation table"): words; an even one is the address of a
 * pointer, and the next place is the one after it; an odd one says with its bits 1..63 which of the
 * next 63 places are pointers. To each pointer the address of the program is added.
 *
 * Nothing is set up yet when this runs: no thread pointer (so no stack protector), no libc, and no
 * pointer of the program's data may be used.
 */
#if defined(__x86_64__) && !defined(__GLIBC__)

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

enum { TAG_RELR_SIZE = 35, TAG_RELR = 36 }; /* gABI; not in every elf.h */
enum { PLACES = 63 };                       /* pointers that an odd word speaks of */

/* The pointer at an address. */
static inline __attribute__((always_inline)) void add(uintptr_t place, uintptr_t base)
{
    *(uintptr_t *)place += base;
}

/* Called by nk_start below only. */
void nk_start_relocate(const Elf64_Dyn *dynamic, uintptr_t base);

__attribute__((used, no_stack_protector)) void nk_start_relocate(const Elf64_Dyn *dynamic,
                                                                 uintptr_t base)
{
    const uint64_t *word = NULL;
    size_t words = 0;
    for (; dynamic->d_tag != DT_NULL; dynamic++) {
        if (dynamic->d_tag == TAG_RELR) {
            word = (const uint64_t *)(base + dynamic->d_un.d_ptr);
        } else if (dynamic->d_tag == TAG_RELR_SIZE) {
            words = dynamic->d_un.d_val / sizeof(*word);
        }
    }
    uintptr_t place = base;
    for (; word && words > 0; word++, words--) {
        if (!(*word & 1)) {
            place = base + *word;
            add(place, base);
            place += sizeof(uintptr_t);
            continue;
        }
        for (size_t i = 0; i < PLACES; i++) {
            if (*word >> (i + 1) & 1) {
                add(place + i * sizeof(uintptr_t), base);
            }
        }
        place += PLACES * sizeof(uintptr_t);
    }
}

/* The kernel's stack pointer and rdx must reach _start as they were (System V ABI, x86-64, 3.4.1);
 * the call needs the stack aligned to 16 bytes, as it is at the entry. */
__asm__(".text\n"
        ".global nk_start\n"
        ".hidden nk_start\n"
        ".hidden _DYNAMIC\n"
        ".hidden __ehdr_start\n"
        ".type nk_start, @function\n"
        "nk_start:\n"
        "    push %rdx\n"
        "    push %rdx\n"
        "    lea _DYNAMIC(%rip), %rdi\n"
        "    lea __ehdr_start(%rip), %rsi\n"
        "    call nk_start_relocate\n"
        "    pop %rdx\n"
        "    pop %rdx\n"
        "    jmp _start\n"
        ".size nk_start, . - nk_start\n");

#else

_Static_assert(sizeof(char) == 1, "libc's own entry is used; a translation unit is not empty");

#endif
