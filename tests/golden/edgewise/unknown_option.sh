edgewise --verison
