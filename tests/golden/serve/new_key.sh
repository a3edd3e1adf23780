edgewise serve --new-key kiosk | sed "s/[0-9a-f]\{64\}$/64 digits/"
