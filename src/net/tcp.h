/* tcp.h - what every TCP connection of ours is set to. */
#ifndef EW_TCP_H
#define EW_TCP_H

/* Small writes leave at once (a token is a few bytes); a peer that lost power is noticed after two
 * minutes. Of a listening socket: its connections inherit it on Linux. */
void ew_tcp_set_options(int fd);

#endif
