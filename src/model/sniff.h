/* sniff.h - what a file that isn't GGUF probably is, so that the error can say what to do. */
#ifndef EW_SNIFF_H
#define EW_SNIFF_H

#include <stddef.h>
#include <stdint.h>

/* A phrase such as "a Git LFS pointer: the model itself wasn't fetched"; NULL: no idea. Looks at
 * the first bytes only. */
const char *ew_sniff_describe(const uint8_t *data, size_t bytes);

#endif
