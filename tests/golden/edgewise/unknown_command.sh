edgewise serv
