module kubewright/mirror

go 1.21
