/* tcp.h - what every TCP connection of ours is set to. */
#ifndef EW_TCP_H
#define EW_TCP_H

/* Small writes leave at once (a token is a few bytes); a peer that lost power is noticed after two
 * minutes. Of a listening socket: its connections inherit it on Linux. */
void ew_tcp_set_options(int fd);
/* Of one whose peer owes us answers: that it lost power is noticed after half a minute, also where
 * an answer that isn't streamed would be waited for longer; so is one that takes nothing of what it
 * is sent. */
void ew_tcp_watch(int fd);

#endif
